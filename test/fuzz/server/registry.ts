import fc from 'fast-check'
import { isNotModified } from '../../../src/server/v2/etag.ts'
import { type Endpoint, parsePath } from '../../../src/server/v2/path.ts'
import { readChunkRange, readRange } from '../../../src/server/v2/range.ts'
import { Refusal } from '../../../src/server/v2/refusal.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileText, orNone } from '../mutate/text.ts'
import { digests, isNameSlowly, repositories, tags } from '../oci/references.ts'
import { ok, property, same } from '../property.ts'

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

const ranges = fc
  .tuple(fc.option(fc.nat({ max: 25 })), fc.option(fc.nat({ max: 25 })))
  .map(([from, to]) => `bytes=${from ?? ''}-${to ?? ''}`)

const known = `sha256:${'a'.repeat(64)}`
const etags = fc
  .tuple(fc.constantFrom('', 'W/'), fc.oneof(fc.constant(known), digests), fc.boolean())
  .map(([weak, digest, isQuoted]) => `${weak}${isQuoted ? `"${digest}"` : digest}`)

export const registryProperties = [
  property(
    'If-None-Match of the registry',
    orNone(
      hostileText(
        fc
          .array(fc.oneof({ weight: 9, arbitrary: etags }, { weight: 1, arbitrary: fc.constant('*') }), {
            maxLength: 4,
          })
          .map((list) => list.join(', ')),
        [known, `"${known}"`, 'W/', '"', ',', '*', 'sha256:'],
      ),
    ),
    (header) => {
      const right = ['*', known, `"${known}"`, `W/${known}`, `W/"${known}"`]
      same(isNotModified(header, `"${known}"`), header?.split(',').some((part) => right.includes(part.trim())) ?? false)
    },
  ),
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
      orNone(hostileText(ranges, ['bytes=', 'BYTES=', '-', ',', '0-0', ' ', '99999999999999999'])),
    ),
    ([size, header]) => {
      const range = readRange(header, size)
      if (header === undefined) return same(range, undefined)
      const [from, to, ...others] = header.trimEnd().slice('bytes='.length).trimStart().split('-')
      const isNumber = (text: string | undefined) => text !== undefined && /^[0-9]{0,15}$/.test(text)
      const isRange = header.slice(0, 'bytes='.length).toLowerCase() === 'bytes=' && others.length === 0
      if (!isRange || !isNumber(from) || !isNumber(to) || (from === '' && to === '')) return same(range, undefined)
      const all = Array.from({ length: size }, (_, at) => at)
      const wanted =
        from === ''
          ? all.slice(Math.max(0, size - Number(to)), size)
          : all.filter((at) => at >= Number(from) && (to === '' || at <= Number(to)))
      same(range, wanted.length === 0 ? 'unsatisfiable' : { first: wanted[0], last: wanted.at(-1) })
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
  property('long ranges', pumped(ranges, ['bytes=', '0', '-', ' ', '0-1,']), (text) => {
    readRange(text, 10)
    readRange(`bytes=${text}`, 10)
    readChunkRange(text)
  }),
]
