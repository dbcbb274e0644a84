import fc from 'fast-check'
import { ConfigError, IntegrityError, RemoteError } from '../../src/lib/errors.ts'
import { Redactor } from '../../src/lib/redact.ts'
import { parseLayoutReference } from '../../src/cli/layout-reference.ts'
import { parseChallenges, type Challenge } from '../../src/oci/challenge.ts'
import { findCredential } from '../../src/oci/credentials.ts'
import { isDigest, parseDigest } from '../../src/oci/digest.ts'
import { hasSpecCode, maxErrorBytes, refused } from '../../src/oci/errors.ts'
import { maxJsonDepth, parseJsonObject } from '../../src/oci/json.ts'
import { childrenOf, parseManifest, selectPlatform, type Manifest } from '../../src/oci/manifest.ts'
import {
  dockerList,
  dockerManifest,
  dockerSchema1,
  isIndex,
  ociConfig,
  ociEmpty,
  ociIndex,
  ociLayerTarGzip,
  ociManifest,
} from '../../src/oci/media.ts'
import { nextLink } from '../../src/oci/pages.ts'
import { parsePlatform } from '../../src/oci/platform.ts'
import {
  formatReference,
  isHost,
  isLoopbackHost,
  isRepositoryName,
  isTag,
  parseReference,
  versionOf,
  wireHost,
} from '../../src/oci/reference.ts'
import { splitScopes, unionScopes } from '../../src/oci/scope.ts'
import { originOf, type Registries } from '../../src/oci/settings.ts'
import { tagOf } from '../../src/oci/tag.ts'
import { retryAfterOf } from '../../src/oci/transport.ts'
import { hostileBytes, hostileJson, hostileText, pumped } from './mutate.ts'
import { asyncOutcome, asyncProperty, ok, outcome, property, same, type Group } from './property.ts'

const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`))
export const digests = fc.oneof(
  { weight: 4, arbitrary: hex(64).map((text) => `sha256:${text}`) },
  { weight: 1, arbitrary: hex(128).map((text) => `sha512:${text}`) },
)
const nameParts = fc.stringMatching(/^[a-z0-9]{1,8}(?:(?:\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}$/)
export const repositories = fc.array(nameParts, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
export const tags = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/)
const hosts = fc.oneof(
  fc.constantFrom(
    'ghcr.io',
    'localhost',
    'localhost:5000',
    '[::1]:5000',
    'docker.io',
    'index.docker.io',
    'Upper.example',
    '127.0.0.1:80',
    'a-b.example:443',
  ),
  fc.stringMatching(/^[a-z][a-z0-9]{0,8}(?:-[a-z0-9]{1,4})?\.[a-z]{2,5}(?::[1-9][0-9]{0,3})?$/),
)
const references = fc
  .tuple(fc.option(hosts), repositories, fc.option(tags), fc.option(digests))
  .map(
    ([host, name, tag, digest]) =>
      `${host === null ? '' : `${host}/`}${name}${tag === null ? '' : `:${tag}`}${digest === null ? '' : `@${digest}`}`,
  )
const referenceTokens = [
  'sha256:',
  'sha512:',
  'latest',
  'localhost',
  'library/',
  '[::1]',
  '[',
  ']',
  '::',
  '0x7f.1',
  '1.2.3.4.5',
  '256.0.0.1',
  'xn--',
  'https://',
  'docker.io',
  '-',
  '_',
  '__',
  '.',
  ':65535',
  ':65536',
  ':0',
  ':080',
  'A',
]

/** The grammar of the specification, one character after the other. */
export function isNameSlowly(text: string): boolean {
  return text.length <= 255 && text.split('/').every(isPartSlowly)
}

function isPartSlowly(part: string): boolean {
  const plain = 'abcdefghijklmnopqrstuvwxyz0123456789'
  let separator = ''
  let begun = false
  for (const character of part) {
    if (!plain.includes(character)) separator += character
    else {
      const isRight = ['', '.', '_', '__'].includes(separator) || separator === '-'.repeat(separator.length)
      if (!isRight || (!begun && separator !== '')) return false
      begun = true
      separator = ''
    }
  }
  return begun && separator === ''
}

const referenceProperties = [
  property('references', hostileText(references, referenceTokens), (text) => {
    const reference = outcome(() => parseReference(text), ConfigError, ['bad_reference'])
    if (reference === undefined) return
    const { host, repository, tag, digest } = reference
    same(parseReference(formatReference(reference)), reference)
    ok(isHost(host) && isNameSlowly(repository) && host.length + 1 + repository.length <= 255)
    ok(tag !== undefined || digest !== undefined)
    ok((tag === undefined || isTag(tag)) && (digest === undefined || isDigest(digest)))
    // What is asked for is what stands there, at the host that stands there.
    const url = new URL(`${originOf(host, {})}/v2/${repository}/manifests/${versionOf(reference)}`)
    same(url.pathname, `/v2/${repository}/manifests/${versionOf(reference)}`)
    if (!host.startsWith('[')) same(url.hostname, wireHost(host).replace(/:\d+$/, ''))
    else ok(url.hostname.startsWith('['))
    same(isLoopbackHost(host), isLoopbackHost(url.hostname))
  }),
  property(
    'names and tags',
    hostileText(fc.oneof(repositories, tags, digests), ['_', '__', '___', '.', '-', '--']),
    (text) => {
      same(isRepositoryName(text), isNameSlowly(text))
      ok(isTag(tagOf(text)))
    },
  ),
  property(
    'layout references',
    hostileText(
      fc
        .tuple(fc.stringMatching(/^[a-z./:@-]{1,12}$/), references)
        .map(([folder, text]) => `oci-layout:${folder}${text}`),
      referenceTokens,
    ),
    (text) => {
      const found = outcome(() => parseLayoutReference(text), ConfigError, ['bad_reference'])
      if (found !== undefined)
        ok(
          found.folder !== '' &&
            (found.tag === undefined || isTag(found.tag)) &&
            (found.digest === undefined || isDigest(found.digest)),
        )
    },
  ),
  property(
    'long references',
    pumped(referenceTokens),
    (text) => {
      outcome(() => parseReference(text), ConfigError, ['bad_reference'])
      outcome(() => parseLayoutReference(`oci-layout:${text}`), ConfigError, ['bad_reference'])
      isHost(text)
      isLoopbackHost(text)
      ok(isTag(tagOf(text)))
    },
    { share: 0.1 },
  ),
  property('digests', hostileText(digests, ['sha256:', 'sha512:', 'md5:', '\n', 'A', '00']), (text) => {
    const digest = outcome(() => parseDigest(text), IntegrityError, ['bad_manifest'])
    const [algorithm, encoded = '', ...rest] = text.split(':')
    const isRight =
      rest.length === 0 &&
      ((algorithm === 'sha256' && encoded.length === 64) || (algorithm === 'sha512' && encoded.length === 128)) &&
      encoded.split('').every((character) => '0123456789abcdef'.includes(character))
    same(digest, isRight ? text : undefined)
    same(isDigest(text), isRight)
  }),
]

const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,7}$/)
const value = fc.string({ unit: 'grapheme-ascii', maxLength: 12 })
const challenges = fc.array(
  fc.record({
    scheme: fc.oneof(token, fc.constantFrom('Bearer', 'Basic')),
    parameters: fc.uniqueArray(fc.tuple(token, value), { maxLength: 4, selector: ([name]) => name.toLowerCase() }),
  }),
  { minLength: 1, maxLength: 3 },
)
const space = fc.constantFrom('', ' ', '\t', '  ')
const headerOf = fc.tuple(challenges, space, space).map(([list, before, after]) => ({
  list,
  text: list
    .map(
      ({ scheme, parameters }) =>
        `${scheme} ${parameters.map(([name, text]) => `${name}${before}=${after}"${text.replace(/["\\]/g, '\\$&')}"`).join(`${before},${after}`)}`,
    )
    .join(`${before},${after}`),
}))
const challengeTokens = [
  'Bearer ',
  'Basic ',
  'Negotiate YII=',
  'realm=',
  'scope=',
  '"',
  '\\"',
  '\\',
  '=',
  '==',
  ',',
  ' , ',
  'error="insufficient_scope"',
]

const headerProperties = [
  property('challenges that were written', headerOf, ({ list, text }) => {
    const expected = list.map(({ scheme, parameters }): Challenge => ({
      scheme: scheme.toLowerCase(),
      parameters: Object.fromEntries(parameters.map(([name, parameter]) => [name.toLowerCase(), parameter])),
    }))
    same(
      parseChallenges(text).map(({ scheme, parameters }) => ({ scheme, parameters: { ...parameters } })),
      expected,
    )
  }),
  property(
    'challenges',
    hostileText(
      headerOf.map(({ text }) => text),
      challengeTokens,
    ),
    (text) => {
      for (const { scheme, parameters } of parseChallenges([text, text])) {
        ok(scheme !== '' && scheme === scheme.toLowerCase() && text.toLowerCase().includes(scheme))
        ok(
          Object.entries(parameters).every(
            ([name, parameter]) => name === name.toLowerCase() && typeof parameter === 'string',
          ),
        )
        splitScopes(parameters.scope)
      }
    },
  ),
  property('long challenges', pumped(challengeTokens, 16_000), (text) => void parseChallenges(text), { share: 0.1 }),
  property(
    'scopes',
    hostileText(
      fc
        .array(
          repositories.map((name) => `repository:${name}:pull,push`),
          { maxLength: 4 },
        )
        .map((list) => list.join(' ')),
      ['repository:', ':pull', ',', '*', 'registry:catalog:*'],
    ),
    (text) => {
      const scopes = splitScopes(text)
      const union = unionScopes(scopes)
      same(unionScopes(scopes.toReversed()), union)
      same(unionScopes([...scopes, ...scopes]), union)
      same(union, union.toSorted())
      ok(union.length <= scopes.length)
    },
  ),
  property(
    'Retry-After',
    hostileText(
      fc.oneof(
        fc.nat().map(String),
        fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
      ),
      ['GMT', 'Mon, ', '1e5', '99999999999999999999', '-'],
    ),
    (text) => {
      const waitMs = retryAfterOf(text, Date.UTC(2026, 0, 1))
      ok(waitMs === undefined || (Number.isFinite(waitMs) && waitMs >= 0 && waitMs <= 6 * 3_600_000))
    },
  ),
  property(
    'long Retry-After',
    pumped(['1', 'Mon, 1 Jan 2026 00:00:00 ', 'GMT', '(']),
    (text) => void retryAfterOf(text, 0),
    { share: 0.1 },
  ),
]

interface Written {
  target: string
  parameters: [name: string, text: string][]
}
const linkNames = fc.constantFrom('rel', 'title', 'REL', 'anchor', 'type')
const links = fc.array(
  fc.record<Written>({
    target: fc.webPath().map((path) => `/v2${path}?n=1&last=a`),
    parameters: fc.array(
      fc.tuple(
        linkNames,
        fc.oneof(
          fc.constantFrom('next', 'prev', 'next last', 'x; rel=next', '</v2/y>; rel=next'),
          value.map((text) => text.replace(/["\\]/g, '')),
        ),
      ),
      { maxLength: 3 },
    ),
  }),
  { minLength: 1, maxLength: 3 },
)
const writeLink = ({ target, parameters }: Written) =>
  `<${target}>${parameters.map(([name, text]) => `; ${name}="${text}"`).join('')}`
const linkTokens = ['<', '>', '; rel=next', '; rel="next"', 'rel', ', ', ';', '"', '=']

const pageProperties = [
  property('Link that was written', links, (list) => {
    const next = list.find(({ parameters }) =>
      parameters
        .find(([name]) => name.toLowerCase() === 'rel')?.[1]
        .toLowerCase()
        .split(' ')
        .includes('next'),
    )
    same(nextLink([list.map(writeLink).join(', ')]), next?.target)
  }),
  property(
    'Link',
    hostileText(
      links.map((list) => list.map(writeLink).join(', ')),
      linkTokens,
    ),
    (text) => {
      const next = nextLink([text, text])
      ok(next === undefined || text.includes(`<${next}>`))
    },
  ),
  property('long Link', pumped(linkTokens), (text) => void nextLink([text]), { share: 0.1 }),
]

const mediaTypes = fc.constantFrom(
  ociManifest,
  ociIndex,
  dockerManifest,
  dockerList,
  ociConfig,
  ociEmpty,
  ociLayerTarGzip,
  'application/json',
  'text/plain; charset=utf-8',
)
const annotations = fc.dictionary(
  fc.constantFrom('org.opencontainers.image.title', 'a', '__proto__'),
  fc.string({ maxLength: 5 }),
  { maxKeys: 2 },
)
const platforms = fc.record(
  {
    os: fc.constantFrom('linux', 'unknown', ''),
    architecture: fc.constantFrom('amd64', 'arm64', 'x86_64', 'unknown'),
    variant: fc.constantFrom('v7', 'v8'),
  },
  { requiredKeys: ['os', 'architecture'] },
)
const descriptors = fc.record(
  {
    mediaType: mediaTypes,
    digest: digests,
    size: fc.nat(),
    annotations,
    artifactType: mediaTypes,
    platform: platforms,
    urls: fc.array(fc.webUrl(), { maxLength: 1 }),
    data: fc.constant('e30='),
  },
  { requiredKeys: ['mediaType', 'digest', 'size'] },
)
const optional = { subject: descriptors, artifactType: mediaTypes, annotations }
const images = fc.record(
  {
    schemaVersion: fc.constant(2),
    mediaType: fc.constant(ociManifest),
    config: descriptors,
    layers: fc.array(descriptors, { maxLength: 3 }),
    ...optional,
  },
  { requiredKeys: ['schemaVersion', 'config', 'layers'] },
)
const indexes = fc.record(
  {
    schemaVersion: fc.constant(2),
    mediaType: fc.constant(ociIndex),
    manifests: fc.array(descriptors, { maxLength: 4 }),
    ...optional,
  },
  { requiredKeys: ['schemaVersion', 'manifests'] },
)
const manifestKeys = [
  'schemaVersion',
  'mediaType',
  'config',
  'layers',
  'manifests',
  'subject',
  'digest',
  'size',
  'platform',
  'annotations',
  'urls',
  'data',
  'artifactType',
  'fsLayers',
  'Layers',
  'MANIFESTS',
  'os',
]
const manifestTokens = [
  ociManifest,
  ociIndex,
  dockerManifest,
  dockerList,
  dockerSchema1,
  'sha256:',
  'sha256:00',
  '../../etc/passwd',
]
const digest = parseDigest(`sha256:${'0'.repeat(64)}`)

function checkManifest(manifest: Manifest, text: string): void {
  same(manifest.kind === 'index', isIndex(manifest.mediaType))
  for (const child of [...childrenOf(manifest), ...(manifest.subject === undefined ? [] : [manifest.subject])]) {
    ok(isDigest(child.digest) && Number.isSafeInteger(child.size) && child.size >= 0)
  }
  const json = JSON.parse(text) as Record<string, unknown>
  ok((json.manifests ?? null) === null || (json.layers ?? null) === null)
  ok(Object.keys(json).every((key) => !/^(layers|manifests|config)$/iu.test(key) || key === key.toLowerCase()))
  const { kind: _kind, ...rest } = manifest
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...rest }))
  same(parseManifest({ mediaType: manifest.mediaType, digest, bytes }), manifest)
  if (manifest.kind === 'index') {
    const found = selectPlatform(manifest, 'linux/amd64')
    ok(found === undefined || manifest.manifests.includes(found))
  }
}

const manifestProperties = [
  property(
    'manifests',
    fc.tuple(
      hostileText(
        fc.constantFrom(
          ociManifest,
          ociIndex,
          dockerManifest,
          dockerList,
          dockerSchema1,
          `${ociManifest}; charset=utf-8`,
        ),
        [';', ' '],
      ),
      hostileJson(fc.oneof(images, indexes), manifestTokens, manifestKeys),
    ),
    ([contentType, text]) => {
      for (const mediaType of [contentType, ociManifest, ociIndex]) {
        const manifest = outcome(() => parseManifest({ mediaType, digest, bytes: Buffer.from(text) }), IntegrityError, [
          'bad_manifest',
          'unsupported_artifact',
        ])
        if (manifest !== undefined) checkManifest(manifest, text)
      }
    },
  ),
  property('manifests that were written', fc.oneof(images, indexes), (json) => {
    const mediaType = 'manifests' in json ? ociIndex : ociManifest
    const manifest = parseManifest({ mediaType, digest, bytes: Buffer.from(JSON.stringify(json)) })
    same(
      childrenOf(manifest).map((child) => child.digest),
      'manifests' in json
        ? json.manifests.map((one) => one.digest)
        : [json.config, ...json.layers].map((one) => one.digest),
    )
  }),
  property(
    'JSON',
    hostileBytes(
      fc.jsonValue({ maxDepth: 6 }).map((json) => Buffer.from(JSON.stringify(json))),
      ['{', '}', '[', '"', '\\', '\xff', '{"a":', '\ufeff', '[['.repeat(40)].map((text) => Buffer.from(text)),
    ),
    (bytes) => {
      const json = outcome(() => parseJsonObject(bytes, 'it'), IntegrityError, ['bad_manifest'])
      if (json === undefined) return
      same(json, JSON.parse(bytes.toString()))
      ok(depthOf(json) <= maxJsonDepth)
    },
  ),
  property(
    'deep JSON',
    fc.tuple(fc.integer({ min: 60, max: 68 }), fc.boolean()),
    ([depth, inList]) => {
      const inner = inList ? '[]' : '{}'
      const [open, close] = inList ? ['[', ']'] : ['{"a":', '}']
      const text = `{"a":${open.repeat(depth - 2)}${inner}${close.repeat(depth - 2)}}`
      same(outcome(() => parseJsonObject(Buffer.from(text), 'it'), IntegrityError) !== undefined, depth <= maxJsonDepth)
    },
    { share: 0.1 },
  ),
  property(
    'long JSON',
    pumped(['{', '[', '{"a":', '"', '\\', '[]', '{}', '1,']),
    (text) => {
      outcome(() => parseJsonObject(Buffer.from(text), 'it'), IntegrityError, ['bad_manifest'])
      outcome(() => parseManifest({ mediaType: ociManifest, digest, bytes: Buffer.from(text) }), IntegrityError)
    },
    { share: 0.1 },
  ),
  property(
    'platforms',
    hostileText(fc.constantFrom('linux/amd64', 'linux/arm/v7', 'Linux/x86_64', 'windows/arm64/v8'), [
      '/',
      'linux',
      'aarch64',
      'constructor',
      '__proto__',
    ]),
    (text) => {
      const platform = outcome(() => parsePlatform(text), ConfigError)
      if (platform === undefined) return
      const { os, architecture, variant } = platform
      ok(
        typeof os === 'string' &&
          typeof architecture === 'string' &&
          os !== '' &&
          architecture !== '' &&
          variant !== '',
      )
      same(parsePlatform([os, architecture, ...(variant === undefined ? [] : [variant])].join('/')), platform)
    },
  ),
  property(
    'members for a platform',
    fc.tuple(
      fc.array(descriptors, { maxLength: 5 }),
      fc.constantFrom(
        'linux/amd64',
        'linux/arm64',
        'linux/arm64/v8',
        'linux/arm/v7',
        'linux/x86_64',
        'linux/arm/v6',
        'windows/amd64',
      ),
    ),
    ([list, wanted]) => {
      const index = parseManifest({
        mediaType: ociIndex,
        digest,
        bytes: Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: list })),
      })
      if (index.kind !== 'index') return
      const found = selectPlatform(index, wanted)
      if (found === undefined) return
      ok(index.manifests.includes(found) && found.platform?.os !== 'unknown')
      const named = found.platform !== undefined && (found.platform.os !== '' || found.platform.architecture !== '')
      if (named) same(parsePlatform(wanted).os, found.platform?.os)
      else
        same(
          index.manifests.filter((one) => one.platform?.os !== 'unknown' || one.platform.architecture !== 'unknown')
            .length,
          1,
        )
    },
  ),
]

const auths = fc.dictionary(
  fc.oneof(hosts, fc.constantFrom('https://index.docker.io/v1/', 'ghcr.io/acme', 'https://ghcr.io', 'ghcr.io')),
  fc.record(
    {
      auth: fc
        .tuple(fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 }))
        .map((pair) => Buffer.from(pair.join(':')).toString('base64')),
      username: fc.string(),
      password: fc.string(),
      identitytoken: fc.string(),
      registrytoken: fc.string(),
    },
    { requiredKeys: [] },
  ),
  { maxKeys: 4 },
)
const dockerConfigs = fc.record(
  {
    auths,
    credHelpers: fc.dictionary(hosts, fc.constantFrom('x', '../x', '')),
    credsStore: fc.constantFrom('x', '', '-x'),
  },
  { requiredKeys: [] },
)
const configKeys = [
  'auths',
  'auth',
  'credHelpers',
  'credsStore',
  'ghcr.io',
  'https://ghcr.io/v2/',
  'identitytoken',
  'registrytoken',
  'username',
  'password',
]

const otherProperties = [
  asyncProperty(
    'docker configs',
    fc.tuple(
      hostileJson(dockerConfigs, ['Z2g6cHc=', 'ghcr.io', ':'], configKeys),
      fc.constantFrom(
        '{"Username":"u","Secret":"s"}',
        '{"Username":"<token>","Secret":"s"}',
        '{}',
        'credentials not found',
        '',
        '[]',
      ),
      fc.record({
        host: fc.constantFrom('ghcr.io', 'ghcr.io', 'docker.io'),
        own: fc.constantFrom<Registries>(
          {},
          {},
          {},
          { 'ghcr.io': { username: 'u', password: 'p' } },
          { 'ghcr.io/acme': { token: 't' } },
          { 'ghcr.io': { identityToken: 'i' } },
        ),
        place: fc.constantFrom('inline', 'inline', 'missing', 'folder'),
      }),
    ),
    async ([text, stdout, { host, own, place }]) => {
      const paths = place === 'missing' ? ['/nowhere/config.json'] : place === 'folder' ? ['/'] : []
      const inline = place === 'inline' ? text : ''
      const credential = await asyncOutcome(
        () =>
          findCredential(
            {
              registries: own,
              dockerConfig: { paths, inline },
              redactor: new Redactor(),
              logger: { warn: () => undefined },
              runHelper: async () => ({
                outcome: stdout.startsWith('{') ? 'done' : stdout === '[]' ? 'missing' : 'failed',
                stdout,
              }),
            },
            host,
            'acme/app',
          ),
        ConfigError,
      )
      if (credential === undefined) return
      ok(Object.values(credential).every((one) => typeof one === 'string'))
      ok(Object.keys(own).length > 0 || /ghcr\.io|docker\.io/i.test(inline) || inline.includes('credsStore'))
    },
  ),
  property(
    'error documents',
    fc.tuple(
      fc.record({
        status: fc.oneof(
          fc.constantFrom(401, 403, 404, 405, 408, 409, 410, 412, 429, 500, 501, 503),
          fc.integer({ min: 100, max: 599 }),
        ),
        retryAfterMs: fc.option(fc.nat(), { nil: undefined }),
      }),
      hostileJson(
        fc.record({
          errors: fc.array(
            fc.record(
              {
                code: fc.constantFrom<unknown>('TOOMANYREQUESTS', 'UNSUPPORTED', 'DENIED', '', 7),
                message: fc.string(),
                detail: fc.anything(),
              },
              { requiredKeys: [] },
            ),
          ),
        }),
        ['\u001b[31m', '<html>', '\u202e'],
        ['errors', 'code', 'message', 'detail'],
      ),
    ),
    ([{ status, retryAfterMs }, text]) => {
      const body = Buffer.from(text)
      const error = refused({
        host: 'h',
        status,
        what: 'try',
        body,
        ...(retryAfterMs !== undefined && { retryAfterMs }),
      })
      same(hasSpecCode(error, 'DENIED'), error.specCodes.includes('DENIED'))
      ok(!hasSpecCode(new Error('DENIED'), 'DENIED'))
      ok(error.specCodes.length <= 10)
      ok(error instanceof RemoteError && error.message.length < 7000)
      // eslint-disable-next-line no-control-regex
      ok(!/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/.test(error.message))
    },
  ),
  property(
    'long error documents',
    pumped(['{"errors":[', '{"code":"', '<', '\u0000', '\u202e', '{"a":']),
    (text) => {
      refused({ host: 'h', status: 500, what: 'try', body: Buffer.from(text).subarray(0, maxErrorBytes) })
    },
    { share: 0.1 },
  ),
]

export const oci: Group = {
  files: [
    'src/oci/reference.ts',
    'src/oci/challenge.ts',
    'src/oci/digest.ts',
    'src/oci/json.ts',
    'src/oci/manifest.ts',
    'src/oci/media.ts',
    'src/oci/platform.ts',
    'src/oci/scope.ts',
    'src/oci/tag.ts',
    'src/oci/errors.ts',
    'src/oci/credentials.ts',
    'src/cli/layout-reference.ts',
  ],
  properties: [
    ...referenceProperties,
    ...headerProperties,
    ...pageProperties,
    ...manifestProperties,
    ...otherProperties,
  ],
}

/** How deep a value nests: 1 for `{}`. */
export function depthOf(json: unknown): number {
  return typeof json === 'object' && json !== null ? 1 + Math.max(0, ...Object.values(json).map(depthOf)) : 0
}
