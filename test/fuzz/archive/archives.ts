import { normalize, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { type ArchiveEntry, compressionIn, entriesIn, unpack } from '../../../src/artifact/archive.ts'
import { parentsOf } from '../../../src/artifact/names.ts'
import { readTar } from '../../../src/artifact/tar-read.ts'
import { type ArchiveLimits } from '../../../src/artifact/types.ts'
import { IntegrityError } from '../../../src/lib/errors.ts'
import { hostileBytes } from '../mutate/bytes.ts'
import { asyncOutcome, asyncProperty, ok, same } from '../property.ts'
import { type Found, inPieces, bare, end, hostileTars, plain, readAll, sound, tars, write } from './written.ts'

const codes = ['bad_archive', 'unsafe_path']
const usualLimits: ArchiveLimits = {
  maxEntries: 50,
  maxUnpackedBytes: 4 * 1024 ** 2,
  maxRatio: 200,
  maxFileBytes: 1024 ** 2,
}

const tightLimits: ArchiveLimits[] = [
  { ...usualLimits, maxEntries: 1 },
  { ...usualLimits, maxEntries: 3 },
  { ...usualLimits, maxUnpackedBytes: 1500 },
  { ...usualLimits, maxFileBytes: 10 },
]

function checkInside(list: readonly (ArchiveEntry & { bytes: Buffer })[], ceilings: ArchiveLimits): void {
  ok(list.length <= ceilings.maxEntries)
  const files = list.filter(({ type }) => type === 'file').map(({ path }) => path)
  same(new Set(files).size, files.length)
  for (const { path, size, bytes } of list) {
    ok(size <= ceilings.maxFileBytes && bytes.length === size)
    ok(
      path !== '' &&
        !path.startsWith('/') &&
        !path.includes('\0') &&
        normalize(path) === path &&
        resolve('/safe', path).startsWith('/safe/'),
    )
    ok(parentsOf(path).every((parent) => !files.includes(parent)))
  }
}

/** Neither a name twice nor a file where there are files below, as `KnownPaths` has it, each with each. */
function areApart(list: readonly { path: string; type: string }[]): boolean {
  return list.every(({ path, type }, at) =>
    list.every((other, there) => {
      if (there === at) return true
      if (path === other.path) return type === 'directory' && other.type === 'directory'
      return type === 'directory' || !other.path.startsWith(`${path}/`)
    }),
  )
}

const limits = fc.oneof(
  { weight: 4, arbitrary: fc.constant(usualLimits) },
  { weight: 1, arbitrary: fc.constantFrom(...tightLimits) },
)
const leadingSlashes = fc.constantFrom('allow' as const, 'refuse' as const)
const pieces = fc.oneof(
  { weight: 19, arbitrary: fc.constantFrom(100, 511, 512, 1000, 100_000) },
  { weight: 1, arbitrary: fc.constant(1) },
)
const packed = fc
  .tuple(tars, fc.constantFrom('gzip', 'gzip', 'zstd', 'none'), fc.boolean())
  .map(([tar, compression, isTwice]) => {
    const all = isTwice ? [tar.subarray(0, 700), tar.subarray(700)] : [tar]
    if (compression === 'gzip') return Buffer.concat(all.map((part) => gzipSync(part, { level: 1 })))
    return compression === 'zstd' ? Buffer.concat(all.map((part) => zstdCompressSync(part))) : tar
  })
const packedTokens = [
  Buffer.from([0x1f, 0x8b]),
  Buffer.from([0x1f, 0x8b, 8, 0]),
  Buffer.from('28b52ffd', 'hex'),
  Buffer.alloc(20),
  gzipSync(end),
  gzipSync(Buffer.alloc(100_000)),
]

/** The same at once. */
function unpackSync(bytes: Buffer): Buffer {
  const compression = compressionIn(bytes)
  return compression === 'gzip' ? gunzipSync(bytes) : compression === 'zstd' ? zstdDecompressSync(bytes) : bytes
}

export const archiveProperties = [
  asyncProperty('tar archives', fc.tuple(hostileTars, pieces, fc.boolean()), async ([bytes, piece, reads]) => {
    const found = await asyncOutcome(() => readAll(readTar(inPieces(bytes, piece)), true), IntegrityError, codes)
    // In whatever pieces it comes, and whether or not the content is looked at.
    const other = await asyncOutcome(() => readAll(readTar(inPieces(bytes, 100_000)), reads), IntegrityError, codes)
    const shown = (list: readonly Found[] | undefined) =>
      list && bare(list).map(({ bytes: content, ...rest }) => ({ ...rest, content: reads ? content : null }))
    same(shown(found), shown(other))
    for (const entry of found ?? []) same(entry.bytes.length, entry.size)
  }),
  asyncProperty(
    'tar archives that were written',
    fc.uniqueArray(plain, { maxLength: 4, selector: ({ name }) => name }),
    async (list) => {
      const usual = list.filter(({ name }) => /^[a-z./]+$/.test(name) && !name.endsWith('/') && name.length <= 100)
      const bytes = Buffer.concat([...usual.map(write), end])
      const found = await readAll(readTar(inPieces(bytes, 1000)), true)
      same(
        found.map(({ name, bytes: content, executable }) => [name, content, executable]),
        usual.map(({ name, content, mode }) => [name, content, (mode & 0o111) !== 0]),
      )
    },
  ),
  asyncProperty('archives', fc.tuple(hostileTars, leadingSlashes, limits), async ([tar, leadingSlash, ceilings]) => {
    const found = await asyncOutcome(
      () => readAll(entriesIn(inPieces(tar, 10_000), { limits: ceilings, leadingSlash }), true),
      IntegrityError,
      codes,
    )
    if (found !== undefined) checkInside(found, ceilings)
  }),
  asyncProperty('archives that were written', fc.array(sound, { maxLength: 4 }), async (list) => {
    const bytes = Buffer.concat([...list.map(write), end])
    const expected = list.map(({ name, type, content }) => ({
      path: name
        .split('/')
        .filter((part) => !['', '.'].includes(part))
        .join('/'),
      type: type === '5' ? 'directory' : 'file',
      bytes: type === '5' ? Buffer.alloc(0) : content,
    }))
    const options = { limits: usualLimits, leadingSlash: 'allow' as const }
    const found = await asyncOutcome(() => readAll(entriesIn(inPieces(bytes, 10_000), options), true), IntegrityError, [
      'bad_archive',
    ])
    same(
      found?.map(({ path, type, bytes: content }) => ({ path, type, bytes: content })),
      areApart(expected) ? expected : undefined,
    )
  }),
  asyncProperty(
    'packed archives',
    fc.tuple(hostileBytes(packed, packedTokens), limits, fc.nat({ max: 20 })),
    async ([bytes, ceilings, abortAt]) => {
      const signal = abortAt === 0 ? AbortSignal.abort(new IntegrityError('bad_archive', 'given up')) : undefined
      const how = { compression: compressionIn(bytes), packedSize: bytes.length }
      const found = await asyncOutcome(
        () => Array.fromAsync(unpack(Readable.from([bytes], { signal }), how, { limits: ceilings, signal })),
        IntegrityError,
        ['bad_archive'],
      )
      if (found === undefined) return
      const size = found.reduce((sum, chunk) => sum + chunk.length, 0)
      ok(signal === undefined && size <= ceilings.maxUnpackedBytes)
      ok(Buffer.concat(found).equals(unpackSync(bytes)))
    },
  ),
  asyncProperty(
    'deep names',
    fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 300 })),
    async ([count, depth]) => {
      const list = Array.from({ length: count }, (_, at) =>
        write({
          name: 'x',
          type: '0',
          content: Buffer.alloc(0),
          mode: 0o644,
          magic: 'ustar',
          records: [['path', `${at}${'/a'.repeat(depth)}`]],
        }),
      )
      const found = await asyncOutcome(
        () =>
          readAll(
            entriesIn(inPieces(Buffer.concat([...list, end]), 10_000), {
              limits: { ...usualLimits, maxEntries: 500 },
              leadingSlash: 'allow',
            }),
            true,
          ),
        IntegrityError,
        codes,
      )
      // Folders count, and no name nests deeper than 255 of them.
      same(found?.length, depth <= 255 && count * (depth + 1) <= 500 ? count : undefined)
    },
  ),
]
