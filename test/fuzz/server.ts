import fc from 'fast-check'
import { compareEtag } from '../../src/server/bundles/etag.ts'
import { readBundlePath } from '../../src/server/bundles/path.ts'
import { readWaitSeconds } from '../../src/server/bundles/prefer.ts'
import { hostName, isLoopbackAddress, sourceOf } from '../../src/server/guard/address.ts'
import { readCredentials } from '../../src/server/guard/credentials.ts'
import { readRights } from '../../src/server/guard/rights.ts'
import { parsePath, type Endpoint } from '../../src/server/v2/path.ts'
import { readChunkRange, readRange } from '../../src/server/v2/range.ts'
import { Refusal } from '../../src/server/v2/refusal.ts'
import { isDigest } from '../../src/oci/digest.ts'
import { readNotice } from '../../src/webhooks/registry/notices.ts'
import { hostileText, pumped } from './mutate.ts'
import { digests, isNameSlowly, repositories, tags } from './oci.ts'
import { ok, outcome, property, same, type Group } from './property.ts'

/** If-None-Match as RFC 9110 has it, one character after the other; undefined where the text is none. */
function tagsSlowly(text: string): string[] | undefined {
  const found: string[] = []
  let at = 0
  let separated = true
  while (at < text.length) {
    if (text[at] === ',') separated = true
    if (text[at] === ',' || text[at] === ' ' || text[at] === '\t') {
      at++
      continue
    }
    if (!separated) return undefined
    if (text.startsWith('W/', at)) at += 2
    const end = text.indexOf('"', at + 1)
    if (text[at] !== '"' || end === -1) return undefined
    const opaque = text.slice(at, end + 1)
    // eslint-disable-next-line no-control-regex
    if (/[\u0000-\u0020\u007f]/.test(opaque)) return undefined
    found.push(opaque)
    at = end + 1
    separated = false
  }
  return found
}

const etags = fc.oneof(
  fc.constantFrom('"a"', '"b"', '"c"', '""', '"a,b"', '"W/"'),
  digests.map((digest) => `"${digest}"`),
)
const members = fc.tuple(fc.constantFrom('', 'W/'), etags).map((parts) => parts.join(''))
const etagLists = fc
  .array(fc.tuple(members, fc.constantFrom(',', ', ', ' , ', ',,', ',\t')), { minLength: 1, maxLength: 5 })
  .map((list) =>
    list
      .map((parts) => parts.join(''))
      .join('')
      .replace(/[\s,]+$/, ''),
  )
const etagTokens = ['"', 'W/', ',', '*', '"a"', '"b"', ' ']

const bundleProperties = [
  property(
    'If-None-Match',
    fc.tuple(hostileText(fc.oneof(etagLists, fc.constant('*')), etagTokens), etags, fc.uniqueArray(etags)),
    ([header, etag, known]) => {
      const isKnown = (tag: string) => known.includes(tag)
      const found = compareEtag(header, etag, isKnown)
      const tags = tagsSlowly(header)
      if (header.trim() === '*') same(found, 'same')
      else if (tags === undefined) ok(found === 'changed' || header.includes(etag))
      else if (tags[0] === etag) same(found, 'same')
      else same(found, tags.includes(etag) && !isKnown(tags[0]!) ? 'same-untold' : 'changed')
    },
  ),
  property('long If-None-Match', pumped(etagTokens), (header) => void compareEtag(header, '"x"', () => false), {
    share: 0.1,
  }),
  property(
    'Prefer that was written',
    fc.array(
      fc.record({
        name: fc.constantFrom('wait', 'WAIT', 'modes', 'respond-async', 'x-wait', 'note'),
        value: fc.oneof(
          fc.constantFrom('30', '0', '999999999', '1234567890', 'soon', 'snapshot'),
          fc.string({ unit: fc.constantFrom('a', ';', ',', '=', ' ', 'wait', '5', '"', '\\'), maxLength: 6 }),
        ),
        separator: fc.constantFrom(',', ';', ', ', ' ; '),
        gap: fc.constantFrom('', ' '),
      }),
      { maxLength: 5 },
    ),
    (list) => {
      const isToken = (text: string) => /^[\w-]+$/.test(text)
      const text = list
        .map(
          ({ name, value, separator, gap }, at) =>
            `${at === 0 ? '' : separator}${name}${gap}=${gap}${isToken(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`}`,
        )
        .join('')
      const expected = list.find(({ name, value }) => name.toLowerCase() === 'wait' && /^\d{1,9}$/.test(value))
      same(readWaitSeconds(text), expected === undefined ? undefined : Number(expected.value))
    },
  ),
  property(
    'Prefer',
    hostileText(fc.constantFrom('modes=snapshot,delta;wait=30', 'wait=10, respond-async', 'note="a;wait=5";wait="6"'), [
      'wait',
      '=',
      '"',
      '\\"',
      ';',
      ',',
      ' ',
    ]),
    (text) => {
      const seconds = readWaitSeconds([text, text])
      ok(seconds === undefined || (Number.isSafeInteger(seconds) && seconds >= 0 && seconds < 1e9))
      ok(seconds === undefined || /wait/i.test(text))
    },
  ),
  property(
    'long Prefer',
    pumped(['wait', 'wait=', '\\"', '"', ';wait=1', 'modes=snapshot,delta;', '1']),
    (text) => void readWaitSeconds(text),
    { share: 0.1 },
  ),
  property(
    'paths of bundles',
    hostileText(
      fc
        .tuple(fc.constantFrom('/bundles/', '/v1/bundles/'), repositories, fc.option(digests), fc.boolean())
        .map(
          ([prefix, name, digest, suffix]) =>
            `${prefix}${name}${digest === null ? '' : `@${digest}`}${suffix ? '.tar.gz' : ''}`,
        ),
      ['.tar.gz', '@', 'sha256:', '%40', '%2e', '%'],
    ),
    (path) => {
      const found = readBundlePath(path)
      if (found === undefined) return
      ok(found.name !== '' && found.name.startsWith(found.stem))
      ok(found.digest === undefined || isDigest(found.digest))
      const rest = found.name.slice(found.stem.length)
      ok(rest === `${found.digest === undefined ? '' : `@${found.digest}`}${rest.endsWith('.tar.gz') ? '.tar.gz' : ''}`)
      if (!path.includes('%')) same(path.slice(path.indexOf('/bundles/') + 9), found.name)
    },
  ),
  property(
    'long paths',
    pumped(['/v2/', '/', 'a/', '%2F', '%', '/manifests/', '/blobs/uploads/', '..', 'a-', 'a.', '__', '@', '.tar.gz']),
    (text) => {
      outcome(() => parsePath(`/v2/${text}/manifests/x`), Refusal)
      readBundlePath(`/bundles/${text}`)
    },
    { share: 0.1 },
  ),
]

const endpoints = fc.oneof(
  fc.constantFrom<Endpoint>(
    { kind: 'base', repository: '', reference: '' },
    { kind: 'catalog', repository: '', reference: '' },
  ),
  fc.record<Endpoint>({
    kind: fc.constantFrom('tags', 'manifest', 'blob', 'uploads', 'upload', 'referrers'),
    repository: fc.oneof(
      repositories,
      fc.constantFrom('tags/list', 'blobs/uploads', 'a/manifests', 'manifests', 'uploads', 'v2'),
    ),
    reference: fc.oneof(tags, digests, fc.uuid()),
  }),
)

function pathOf({ kind, repository, reference }: Endpoint): string {
  const ends: Record<Endpoint['kind'], string> = {
    base: '/v2/',
    catalog: '/v2/_catalog',
    tags: `/v2/${repository}/tags/list`,
    manifest: `/v2/${repository}/manifests/${reference}`,
    blob: `/v2/${repository}/blobs/${reference}`,
    uploads: `/v2/${repository}/blobs/uploads/`,
    upload: `/v2/${repository}/blobs/uploads/${reference}`,
    referrers: `/v2/${repository}/referrers/${reference}`,
  }
  return ends[kind]
}

const pathTokens = [
  '/v2',
  '/manifests/',
  '/blobs/',
  '/uploads/',
  '/tags/list',
  '/referrers/',
  '_catalog',
  '%2F',
  '%2f',
  '%2E%2E',
  '..',
  '%00',
  '%ff',
  'A',
  '//',
]

const registryProperties = [
  property('paths of the registry that were written', fc.tuple(endpoints, fc.nat()), ([endpoint, which]) => {
    const expected = { ...endpoint, ...(['tags', 'uploads'].includes(endpoint.kind) && { reference: '' }) }
    // A digest `uploads` does not exist, a tag of that name is no blob.
    if (endpoint.kind === 'blob' && endpoint.reference === 'uploads') return
    same(parsePath(pathOf(endpoint)), expected)
    const { reference } = expected
    if (reference === '') return
    const at = which % reference.length
    const escaped = `${reference.slice(0, at)}%${reference.charCodeAt(at).toString(16)}${reference.slice(at + 1)}`
    same(parsePath(pathOf({ ...expected, reference: escaped })), expected)
  }),
  property('paths of the registry', hostileText(endpoints.map(pathOf), pathTokens), (path) => {
    let endpoint: Endpoint | undefined
    try {
      endpoint = parsePath(path)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      same([error.status, error.entries[0]?.code], [400, 'NAME_INVALID'])
      return
    }
    if (endpoint === undefined) return
    const { kind, repository } = endpoint
    if (kind === 'base' || kind === 'catalog') same(repository, '')
    else ok(isNameSlowly(repository) && path.length > repository.length)
  }),
  property(
    'Range',
    fc.tuple(
      fc.nat({ max: 20 }),
      hostileText(
        fc
          .tuple(fc.option(fc.nat({ max: 25 })), fc.option(fc.nat({ max: 25 })))
          .map(([from, to]) => `bytes=${from ?? ''}-${to ?? ''}`),
        ['bytes=', 'BYTES=', '-', ',', '0-0', ' ', '99999999999999999'],
      ),
    ),
    ([size, header]) => {
      const range = readRange(header, size)
      const [, from, to] = /^bytes=(\d*)-(\d*)$/i.exec(header.replaceAll(' ', '')) ?? []
      if (range === undefined || from === undefined || to === undefined) {
        ok(
          range === undefined ||
            range === 'unsatisfiable' ||
            (range.first >= 0 && range.first <= range.last && range.last < size),
        )
        ok(range === undefined || /^bytes=/i.test(header))
        return
      }
      const all = Array.from({ length: size }, (_, at) => at)
      const wanted =
        from === ''
          ? all.slice(Math.max(0, size - Number(to)), size)
          : all.filter((at) => at >= Number(from) && (to === '' || at <= Number(to)))
      same(range === 'unsatisfiable' ? [] : all.slice(range.first, range.last + 1), wanted)
    },
  ),
  property(
    'Content-Range of a chunk',
    hostileText(
      fc.tuple(fc.nat(), fc.nat()).map(([first, last]) => `${first}-${last}`),
      ['-', 'bytes ', '/', '*', ' '],
    ),
    (header) => {
      const range = readChunkRange(header)
      if (range === undefined) return
      ok(Number.isSafeInteger(range.first) && Number.isSafeInteger(range.last) && range.first <= range.last)
      same(header.split('-').map(Number), [range.first, range.last])
    },
  ),
  property(
    'long ranges',
    pumped(['bytes=', '0', '-', ' ', '0-1,']),
    (text) => {
      readRange(text, 10)
      readRange(`bytes=${text}`, 10)
      readChunkRange(text)
    },
    { share: 0.1 },
  ),
]

/** Whether `*` can stand for what is there, tried one by one. */
function matchesSlowly(pattern: string, text: string): boolean {
  const reachable = new Set([0])
  for (const character of pattern) {
    const from = [...reachable]
    reachable.clear()
    for (const at of from) {
      if (character === '*') for (let end = at; end <= text.length; end++) reachable.add(end)
      else if (text[at] === character) reachable.add(at + 1)
    }
  }
  return reachable.has(text.length)
}

const patternText = fc.string({
  unit: fc.constantFrom('a', 'b', '/', '*', '.', '-', '[', '\\', '$', '\n'),
  maxLength: 8,
})
const credentialTexts = fc.tuple(
  fc.string({ unit: 'binary', maxLength: 8 }).map((text) => text.replaceAll(':', '')),
  fc.string({ unit: 'binary', maxLength: 8 }),
)
const groups = fc.array(fc.nat({ max: 0xffff }), { minLength: 8, maxLength: 8 })

const guardProperties = [
  property('Basic that was written', credentialTexts, ([user, password]) => {
    const [name, word] = [Buffer.from(user).toString(), Buffer.from(password).toString()]
    const found = readCredentials(`bAsIc ${Buffer.from(`${name}:${word}`).toString('base64')}`)
    same(found, name === '' && word === '' ? { scheme: 'none' } : { scheme: 'basic', user: name, password: word })
  }),
  property(
    'Authorization',
    hostileText(
      fc.oneof(
        credentialTexts.map((pair) => `Basic ${Buffer.from(pair.join(':')).toString('base64')}`),
        fc.base64String().map((text) => `Bearer ${text}`),
      ),
      ['Bearer ', 'Basic ', 'bearer', ' ', '=', ':'],
    ),
    (header) => {
      const found = readCredentials(header)
      if (found.scheme === 'bearer') ok(found.token !== '' && header.includes(found.token))
      if (found.scheme === 'basic') ok(!found.user.includes(':') && typeof found.password === 'string')
      if (found.scheme === 'none') ok(header === '' || /^basic/i.test(header))
    },
  ),
  property('long Authorization', pumped(['Bearer ', 'Basic ', 'QQ==', ':']), (text) => void readCredentials(text), {
    share: 0.1,
  }),
  property(
    'rights',
    fc.tuple(
      fc.array(fc.record({ action: fc.constantFrom('read', 'push', 'admin'), pattern: fc.option(patternText) }), {
        maxLength: 3,
      }),
      fc.constantFrom('read', 'push', 'delete'),
      fc.option(patternText, { nil: undefined }),
    ),
    ([grants, action, target]) => {
      const expected = grants.some(
        (grant) =>
          (grant.action === action || grant.action === 'admin') &&
          (target === undefined || grant.pattern === null || matchesSlowly(grant.pattern, target)),
      )
      same(readRights(grants)(action, target), expected)
    },
  ),
  property(
    'long names against patterns',
    fc.tuple(pumped(['*a', '*', 'a*', 'ab'], 200), pumped(['a', 'ab', 'b'], 1000)),
    ([pattern, target]) => void readRights([{ action: 'read', pattern }])('read', target),
    { share: 0.1 },
  ),
  property(
    'addresses',
    hostileText(
      fc.oneof(
        fc.ipV4(),
        fc.ipV6(),
        fc.ipV4().map((address) => `::ffff:${address}`),
      ),
      ['::', ':', '%eth0', '127.0.0.1', '::ffff:', '[', ']'],
    ),
    (text) => {
      ok(typeof sourceOf(text) === 'string' && typeof hostName(text) === 'string')
      ok(!isLoopbackAddress(text) || /^(::1|(::ffff:)?127\.)/.test(text))
    },
  ),
  property('one /64 is one source', fc.tuple(groups, groups), ([front, back]) => {
    const long = [...front.slice(0, 4), ...back.slice(4)].map((group) => group.toString(16))
    const address = new URL(`http://[${long.join(':')}]`).hostname.slice(1, -1)
    same(sourceOf(address), sourceOf(long.join(':')))
    same(sourceOf(address), `${long.slice(0, 4).join(':')}::/64`)
  }),
]

const words = fc.constantFrom('push', 'delete', 'PUSH_ARTIFACT', 'published', 'CONTAINER', 'policies/authz', 'a/B', '')
const json = fc.oneof(words, fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<unknown>)
const part = (...keys: string[]) => fc.record(Object.fromEntries(keys.map((key) => [key, json])), { requiredKeys: [] })
const deliveries = fc.oneof(
  fc.record({
    events: fc.array(fc.oneof(json, fc.record({ action: words, target: part('repository', 'tag', 'mediaType') }))),
  }),
  fc.record({ type: json, event_data: fc.oneof(json, fc.record({ repository: part('repo_full_name') })) }),
  fc.record({ push_data: fc.object(), repository: fc.oneof(json, part('repo_name')) }),
  fc.record({ docker_url: words, repository: json, updated_tags: json }),
  fc.record({ action: json, package: fc.oneof(json, part('package_type', 'namespace', 'name', 'owner')) }),
  fc.record({ specversion: words, type: fc.constantFrom('zotregistry.image.updated', 'x'), data: json }),
  json,
)
const deliveryHeaders = fc.record(
  {
    'x-github-event': fc.constantFrom('package', 'registry_package', 'ping'),
    'ce-type': fc.constantFrom('zotregistry.image.updated', 'harbor.artifact.pushed'),
  },
  { requiredKeys: [] },
)

const webhookProperties = [
  property('deliveries to webhooks', fc.tuple(deliveryHeaders, deliveries), ([headers, body]) => {
    const said = readNotice(headers, Buffer.from(JSON.stringify(body)))
    if ('ignored' in said) return ok(said.ignored !== '')
    ok(said.repositories === null || said.repositories.every((name) => name !== '' && name === name.toLowerCase()))
  }),
  property('deliveries that are no JSON', fc.uint8Array({ maxLength: 200 }), (bytes) => {
    const said = readNotice({}, Buffer.from(bytes))
    ok('ignored' in said || said.repositories !== undefined)
  }),
]

export const server: Group = {
  files: [
    'src/server/bundles/etag.ts',
    'src/server/bundles/path.ts',
    'src/server/bundles/prefer.ts',
    'src/server/guard/address.ts',
    'src/server/guard/credentials.ts',
    'src/server/guard/rights.ts',
    'src/server/v2/path.ts',
    'src/server/v2/range.ts',
    'src/webhooks/registry/notices.ts',
  ],
  properties: [...bundleProperties, ...registryProperties, ...guardProperties, ...webhookProperties],
}
