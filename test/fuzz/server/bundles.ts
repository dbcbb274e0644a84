import fc from 'fast-check'
import { isDigest } from '../../../src/oci/digest.ts'
import { compareEtag } from '../../../src/server/bundles/etag.ts'
import { readBundlePath } from '../../../src/server/bundles/path.ts'
import { readWaitSeconds } from '../../../src/server/bundles/prefer.ts'
import { parsePath } from '../../../src/server/v2/path.ts'
import { Refusal } from '../../../src/server/v2/refusal.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileText } from '../mutate/text.ts'
import { digests, repositories } from '../oci/references.ts'
import { ok, outcome, property, same } from '../property.ts'

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
const preferences = fc.constantFrom(
  'modes=snapshot,delta;wait=30',
  'wait=10, respond-async',
  'note="a;wait=5";wait="6"',
)
const bundlePaths = fc
  .tuple(fc.constantFrom('/bundles/', '/v1/bundles/'), repositories, fc.option(digests), fc.boolean())
  .map(
    ([prefix, name, digest, suffix]) =>
      `${prefix}${name}${digest === null ? '' : `@${digest}`}${suffix ? '.tar.gz' : ''}`,
  )
const etagTokens = ['"', 'W/', ',', '*', '"a"', '"b"', ' ']

export const bundleProperties = [
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
  property(
    'long If-None-Match',
    pumped(etagLists, etagTokens),
    (header) => void compareEtag(header, '"x"', () => false),
  ),
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
  property('Prefer', hostileText(preferences, ['wait', '=', '"', '\\"', ';', ',', ' ']), (text) => {
    const seconds = readWaitSeconds([text, text])
    ok(seconds === undefined || (Number.isSafeInteger(seconds) && seconds >= 0 && seconds < 1e9))
    ok(seconds === undefined || /wait/i.test(text))
  }),
  property(
    'long Prefer',
    pumped(preferences, ['wait', 'wait=', '\\"', '"', ';wait=1', 'modes=snapshot,delta;', '1']),
    (text) => void readWaitSeconds(text),
  ),
  property(
    'paths of bundles that were written',
    fc.tuple(
      fc.constantFrom('/bundles/', '/v1/bundles/'),
      repositories,
      fc.option(digests, { nil: undefined }),
      fc.boolean(),
    ),
    ([prefix, stem, digest, suffix]) => {
      const name = `${stem}${digest === undefined ? '' : `@${digest}`}${suffix ? '.tar.gz' : ''}`
      same(readBundlePath(`${prefix}${name}`), { name, stem, digest })
      same(readBundlePath(`${prefix}${encodeURIComponent(name)}`), { name, stem, digest })
    },
  ),
  property('paths of bundles', hostileText(bundlePaths, ['.tar.gz', '@', 'sha256:', '%40', '%2e', '%']), (path) => {
    const found = readBundlePath(path)
    if (found === undefined) return
    ok(found.name !== '' && found.name.startsWith(found.stem))
    ok(found.digest === undefined || isDigest(found.digest))
    const rest = found.name.slice(found.stem.length)
    ok(rest === `${found.digest === undefined ? '' : `@${found.digest}`}${rest.endsWith('.tar.gz') ? '.tar.gz' : ''}`)
    if (!path.includes('%')) same(path.slice(path.indexOf('/bundles/') + 9), found.name)
  }),
  property(
    'long paths',
    pumped(bundlePaths, [
      '/v2/',
      '/',
      'a/',
      '%2F',
      '%',
      '/manifests/',
      '/blobs/uploads/',
      '..',
      'a-',
      'a.',
      '__',
      '@',
      '.tar.gz',
    ]),
    (text) => {
      outcome(() => parsePath(`/v2/${text}/manifests/x`), Refusal)
      readBundlePath(`/bundles/${text}`)
    },
  ),
]
