import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, normalize, resolve } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { readArchive, type ArchiveEntry } from '../../src/artifact/archive.ts'
import { parentsOf, safePath } from '../../src/artifact/names.ts'
import { blockBytes, encodeHeader, parseHeader, parsePax, paxRecord, zeroBlock } from '../../src/artifact/tar-header.ts'
import { readTar, type TarEntry } from '../../src/artifact/tar-read.ts'
import type { ArchiveLimits } from '../../src/artifact/types.ts'
import { IntegrityError } from '../../src/lib/errors.ts'
import { hostileBytes, hostileText, pumped } from './mutate.ts'
import { asyncOutcome, asyncProperty, ok, outcome, property, same, type Group } from './property.ts'

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

const names = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .array(fc.constantFrom('a', 'b', 'data.json', '.manifest', 'é'), { minLength: 1, maxLength: 3 })
      .map((parts) => parts.join('/')),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '../a',
      '/a',
      '/',
      '.',
      './a',
      'a/../b',
      'a//b',
      '..',
      'a/',
      '',
      'a\\..\\b',
      '...',
      'C:/a',
      'a\0b',
      `${'x/'.repeat(60)}y`,
      '\ufeffa',
    ),
  },
)
interface Written {
  name: string
  type: string
  content: Buffer
  mode: number
  records: [key: string, value: string][]
  magic: 'ustar' | 'gnu' | 'v7' | 'star'
  hasPrefix?: boolean
}
const keys = fc.constantFrom('path', 'size', 'linkpath', 'mtime', 'comment', 'GNU.sparse.major', 'SCHILY.xattr.a')
const entries: fc.Arbitrary<Written> = fc.record({
  name: names,
  type: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom('0', '5', '\0') },
    { weight: 2, arbitrary: fc.constantFrom('1', '2', '3', '6', '7', 'x', 'g', 'L', 'K', 'S', 'V', '~') },
  ),
  content: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  mode: fc.nat({ max: 0o777 }),
  records: fc.oneof(
    { weight: 3, arbitrary: fc.constant<Written['records']>([]) },
    {
      weight: 1,
      arbitrary: fc.array(fc.tuple<[string, string]>(keys, fc.oneof(names, fc.nat().map(String))), { maxLength: 2 }),
    },
  ),
  magic: fc.oneof(
    { weight: 4, arbitrary: fc.constant('ustar' as const) },
    { weight: 1, arbitrary: fc.constantFrom('gnu' as const, 'v7' as const, 'star' as const) },
  ),
  hasPrefix: fc.nat({ max: 4 }).map((one) => one === 0),
})

function block(
  name: string,
  type: string,
  content: Buffer,
  mode: number,
  magic: Written['magic'] = 'ustar',
  hasPrefix = false,
): Buffer {
  const header = encodeHeader({
    name: Buffer.from(name).subarray(0, 100).toString('latin1'),
    type,
    size: content.length,
    mode,
  })
  if (magic === 'gnu') header.write('ustar  \0', 257, 'latin1')
  if (magic === 'v7') header.fill(0, 257, 265)
  if (magic === 'star') header.write('tar\0', 508, 'latin1')
  if (hasPrefix) header.write('pre/fix', 345, 'latin1')
  sign(header)
  return Buffer.concat([header, content, Buffer.alloc((blockBytes - (content.length % blockBytes)) % blockBytes)])
}

/** Makes the checksum right, so that what a mutation did is looked at. */
function sign(header: Buffer): void {
  header.write(' '.repeat(8), 148, 'latin1')
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
}

function write({ name, type, content, mode, records, magic, hasPrefix }: Written): Buffer {
  const body =
    type === '5'
      ? Buffer.alloc(0)
      : type === 'x' || type === 'g'
        ? paxRecord('path', name)
        : type === 'L'
          ? Buffer.from(`${name}\0`)
          : content
  const extended = records.map(([key, value]) => paxRecord(key, value))
  const front = extended.length === 0 ? [] : [block('PaxHeaders/x', 'x', Buffer.concat(extended), 0o644)]
  return Buffer.concat([...front, block(name, type, body, mode, magic, hasPrefix)])
}

const end = Buffer.concat([zeroBlock(), zeroBlock()])
const tars = fc.array(entries, { maxLength: 4 }).map((list) => Buffer.concat([...list.map(write), end]))
const plain = entries.map((entry) => ({
  ...entry,
  type: '0',
  records: [],
  magic: 'ustar' as const,
  mode: 0o644,
  hasPrefix: false,
}))
const tokens = [
  zeroBlock(),
  end,
  block('a', '0', Buffer.from('x'), 0o644),
  block('a', '2', Buffer.alloc(0), 0o644),
  block('././@LongLink', 'L', Buffer.from('../../x\0'), 0o644),
  paxRecord('path', '../x'),
  Buffer.from('\xff', 'latin1'),
  Buffer.from('ustar'),
]
/** Half of them with the checksums of all whole blocks made right again. */
const hostileTars = fc
  .tuple(hostileBytes(tars, tokens, blockBytes), fc.boolean())
  .map(([bytes, resigned]) => (resigned ? resign(bytes) : bytes))

function resign(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  for (let at = 0; at + blockBytes <= copy.length; at += blockBytes) {
    const header = copy.subarray(at, at + blockBytes)
    if (header.toString('latin1', 257, 262) === 'ustar') sign(header)
  }
  return copy
}

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

interface Found extends Omit<TarEntry, 'content'> {
  bytes: Buffer
}

async function readAll<T extends TarEntry>(source: AsyncIterable<T>, reads: boolean): Promise<(Found & T)[]> {
  const found: (Found & T)[] = []
  for await (const entry of source) {
    const chunks = reads ? await Array.fromAsync(entry.content()) : []
    found.push({ ...entry, bytes: Buffer.concat(chunks.map((chunk) => Buffer.from(chunk))) })
  }
  return found
}

function bare(list: readonly Found[]): Omit<Found, 'content'>[] {
  return list.map(({ name, type, size, executable, bytes }) => ({ name, type, size, executable, bytes }))
}

/** A folder of this process, removed when it ends; made for the first case. */
let scratch: string | undefined

function fileWith(bytes: Buffer): string {
  if (scratch === undefined) {
    const folder = (scratch = mkdtempSync(join(tmpdir(), 'longshore-fuzz-')))
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  }
  const path = join(scratch, 'archive')
  writeFileSync(path, bytes)
  return path
}

function checkInside(list: readonly ArchiveEntry[]): void {
  const files = list.filter(({ type }) => type === 'file').map(({ path }) => path)
  same(new Set(files).size, files.length)
  for (const { path } of list) {
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

const headerProperties = [
  property(
    'tar headers',
    hostileBytes(
      entries.map((entry) => write({ ...entry, records: [] }).subarray(0, blockBytes)),
      [Buffer.from('7777'), Buffer.from([0x80]), Buffer.from([0xff, 0xff]), Buffer.from(' '), Buffer.from('8')],
      4,
    ),
    (bytes) => {
      for (const sure of [false, true]) {
        const header = Buffer.alloc(blockBytes)
        bytes.copy(header)
        if (sure) sign(header)
        const found = outcome(() => parseHeader(header), IntegrityError, ['bad_archive'])
        if (found === undefined) continue
        ok(
          Number.isSafeInteger(found.size) &&
            found.size >= 0 &&
            found.mode >= 0 &&
            found.mode <= 0o777 &&
            found.type.length === 1,
        )
        ok(!found.name.includes('\0'))
      }
    },
  ),
  property(
    'tar headers that were written',
    fc.tuple(
      fc.stringMatching(/^[a-z/.]{1,100}$/),
      fc.nat({ max: 8 ** 11 - 1 }),
      fc.nat({ max: 0o777 }),
      fc.constantFrom('0', '5'),
    ),
    ([name, size, mode, type]) => {
      same(parseHeader(encodeHeader({ name, type, size, mode })), { name, type, size, mode })
    },
  ),
  property(
    'pax records that were written',
    fc.array(
      fc.tuple(
        fc.string({ minLength: 1, maxLength: 5 }).filter((key) => !key.includes('=')),
        fc.string({ unit: 'grapheme', maxLength: 120 }),
      ),
      { maxLength: 4 },
    ),
    (records) => {
      same([...parsePax(Buffer.concat(records.map(([key, value]) => paxRecord(key, value))))], [...new Map(records)])
    },
  ),
  property(
    'pax records',
    hostileBytes(
      fc
        .array(fc.tuple(keys, names), { maxLength: 3 })
        .map((list) => Buffer.concat(list.map(([key, value]) => paxRecord(key, value)))),
      ['9 path=a\n', '0 ', '10', '=', '\n', ' ', '9999999999 a=\n', '5 a=\n', '\xff'].map((text) => Buffer.from(text)),
    ),
    (data) => {
      const records = outcome(() => parsePax(data), IntegrityError, ['bad_archive'])
      if (records === undefined) return
      const last = Buffer.concat([...records].map(([key, value]) => paxRecord(key, value)))
      same([...parsePax(last)], [...records])
    },
  ),
  property(
    'long pax records',
    pumped(['5 a=\n', '1', ' ', '=', '\n', '9 path=a\n', '0']),
    (text) => {
      outcome(() => parsePax(Buffer.from(text)), IntegrityError, ['bad_archive'])
    },
    { share: 0.1 },
  ),
  property(
    'names',
    fc.tuple(
      hostileText(names, ['..', '/', '.', '\0', '\\', '//']),
      fc.constantFrom('allow' as const, 'refuse' as const),
    ),
    ([name, leadingSlash]) => {
      const path = outcome(() => safePath(name, 'it', { leadingSlash }), IntegrityError, ['unsafe_path'])
      if (path === undefined) return
      ok(resolve('/safe', path) === (path === '' ? '/safe' : `/safe/${path}`))
      same(safePath(path, 'it', { leadingSlash: 'refuse' }), path)
    },
  ),
  property(
    'long names',
    pumped(['/', '../', './', 'a/', '\0', 'é']),
    (name) => {
      const path = outcome(() => safePath(name, 'it', { leadingSlash: 'allow' }), IntegrityError, ['unsafe_path'])
      if (path !== undefined) parentsOf(path)
    },
    { share: 0.1 },
  ),
]

const archiveProperties = [
  asyncProperty(
    'tar archives',
    fc.tuple(hostileTars, fc.constantFrom(1, 7, 512, 1000, 100_000), fc.boolean()),
    async ([bytes, piece, reads]) => {
      const found = await asyncOutcome(() => readAll(readTar(inPieces(bytes, piece)), true), IntegrityError, codes)
      // In whatever pieces it comes, and whether or not the content is looked at.
      const other = await asyncOutcome(() => readAll(readTar(inPieces(bytes, 100_000)), reads), IntegrityError, codes)
      same(
        found && bare(found).map(({ bytes: _bytes, ...rest }) => rest),
        other && bare(other).map(({ bytes: _bytes, ...rest }) => rest),
      )
      for (const entry of found ?? []) same(entry.bytes.length, entry.size)
    },
  ),
  asyncProperty(
    'tar archives that were written',
    fc.uniqueArray(plain, { maxLength: 4, selector: ({ name }) => name }),
    async (list) => {
      const usual = list.filter(({ name }) => /^[a-z./]+$/.test(name) && !name.endsWith('/') && name.length <= 100)
      const bytes = Buffer.concat([...usual.map(write), end])
      const found = await readAll(readTar(inPieces(bytes, 1000)), true)
      same(
        found.map(({ name, bytes: content }) => [name, content]),
        usual.map(({ name, content }) => [name, content]),
      )
    },
  ),
  asyncProperty(
    'archives',
    fc.tuple(
      hostileTars,
      fc.constantFrom('gzip', 'zstd', 'none'),
      hostileBytes(fc.constant(Buffer.alloc(0)), [Buffer.from([0x1f, 0x8b]), Buffer.alloc(10)]),
      fc.constantFrom('allow' as const, 'refuse' as const),
      fc.oneof(
        { weight: 4, arbitrary: fc.constant(usualLimits) },
        { weight: 1, arbitrary: fc.constantFrom(...tightLimits) },
      ),
      fc.nat({ max: 20 }).map((one) => one === 0),
    ),
    async ([tar, compression, tail, leadingSlash, limits, aborted]) => {
      const packed =
        compression === 'gzip' ? gzipSync(tar, { level: 1 }) : compression === 'zstd' ? zstdCompressSync(tar) : tar
      const path = fileWith(Buffer.concat([packed, tail]))
      const found = await asyncOutcome(
        () =>
          readAll(
            readArchive(path, {
              limits,
              leadingSlash,
              ...(aborted && { signal: AbortSignal.abort(new IntegrityError('bad_archive', 'given up')) }),
            }),
            true,
          ),
        IntegrityError,
        codes,
      )
      if (found !== undefined) checkInside(found)
    },
    { share: 0.3 },
  ),
  asyncProperty(
    'damaged archives',
    hostileBytes(
      tars.map((tar) => gzipSync(tar, { level: 1 })),
      [Buffer.from([0x1f, 0x8b, 8, 0]), Buffer.alloc(20), gzipSync(end)],
    ),
    async (bytes) => {
      const found = await asyncOutcome(
        () => readAll(readArchive(fileWith(bytes), { limits: usualLimits, leadingSlash: 'allow' }), true),
        IntegrityError,
        codes,
      )
      if (found !== undefined) checkInside(found)
    },
    { share: 0.3 },
  ),
  asyncProperty(
    'deep names',
    fc.tuple(fc.constantFrom(1, 40), fc.constantFrom(10, 2040)),
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
      const path = fileWith(gzipSync(Buffer.concat([...list, end])))
      await asyncOutcome(
        () => readAll(readArchive(path, { limits: usualLimits, leadingSlash: 'allow' }), true),
        IntegrityError,
        codes,
      )
    },
    { share: 0.02 },
  ),
]

export const archive: Group = {
  files: ['src/artifact/archive.ts', 'src/artifact/names.ts', 'src/artifact/tar-header.ts', 'src/artifact/tar-read.ts'],
  properties: [...headerProperties, ...archiveProperties],
}
