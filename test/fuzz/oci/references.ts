import fc from 'fast-check'
import { parseLayoutReference } from '../../../src/cli/layout-reference.ts'
import { ConfigError, IntegrityError } from '../../../src/lib/errors.ts'
import { isDigest, parseDigest } from '../../../src/oci/digest.ts'
import {
  formatReference,
  isHost,
  isLoopbackHost,
  isRepositoryName,
  isTag,
  parseReference,
  versionOf,
  wireHost,
} from '../../../src/oci/reference.ts'
import { originOf } from '../../../src/oci/settings.ts'
import { tagOf } from '../../../src/oci/tag.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileText } from '../mutate/text.ts'
import { ok, outcome, property, same } from '../property.ts'

const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`))
export const digests = fc.oneof(
  { weight: 4, arbitrary: hex(64).map((text) => `sha256:${text}`) },
  { weight: 1, arbitrary: hex(128).map((text) => `sha512:${text}`) },
)
const nameParts = fc.stringMatching(/^[a-z0-9]{1,8}(?:(?:\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}$/)
export const repositories = fc.array(nameParts, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
export const tags = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/)
export const hosts = fc.oneof(
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

export const referenceProperties = [
  property(
    'references that were written',
    fc.tuple(
      fc.option(hosts, { nil: undefined }),
      repositories,
      fc.option(tags, { nil: undefined }),
      fc.option(digests, { nil: undefined }),
    ),
    ([host, written, tag, digest]) => {
      // Without a host, a first part with a dot would be one.
      const name = host === undefined ? written.replaceAll('.', '') || 'a' : written
      if (host === undefined && name.startsWith('localhost/')) return
      const text = `${host === undefined ? '' : `${host}/`}${name}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
      const known = (host ?? 'docker.io').toLowerCase().replace(/^(?:index\.|registry-1\.)docker\.io$/, 'docker.io')
      const found = parseReference(text)
      same([found.host, found.tag, found.digest], [known, tag ?? (digest === undefined ? 'latest' : undefined), digest])
      same(found.repository, known === 'docker.io' && !name.includes('/') ? `library/${name}` : name)
    },
  ),
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
  property('long references', pumped(references, referenceTokens), (text) => {
    outcome(() => parseReference(text), ConfigError, ['bad_reference'])
    outcome(() => parseLayoutReference(`oci-layout:${text}`), ConfigError, ['bad_reference'])
    isHost(text)
    isLoopbackHost(text)
    ok(isTag(tagOf(text)))
  }),
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
