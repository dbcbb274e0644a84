import fc from 'fast-check'
import { blockBytes, encodeHeader, paxRecord, zeroBlock } from '../../../src/artifact/tar-header.ts'
import { type TarEntry } from '../../../src/artifact/tar-read.ts'
import { hostileBytes } from '../mutate/bytes.ts'

export const names = fc.oneof(
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
export interface Written {
  name: string
  type: string
  content: Buffer
  mode: number
  records: [key: string, value: string][]
  magic: 'ustar' | 'gnu' | 'v7' | 'star'
  hasPrefix?: boolean
}
export const keys = fc.constantFrom(
  'path',
  'size',
  'linkpath',
  'mtime',
  'comment',
  'GNU.sparse.major',
  'SCHILY.xattr.a',
)
export const entries: fc.Arbitrary<Written> = fc.record({
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

export function block(
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
export function sign(header: Buffer, how: 'unsigned' | 'signed' = 'unsigned'): void {
  header.write(' '.repeat(8), 148, 'latin1')
  const sum = header.reduce((total, byte) => total + (how === 'signed' && byte > 127 ? byte - 256 : byte), 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
}

export function write({ name, type, content, mode, records, magic, hasPrefix }: Written): Buffer {
  const body =
    type === '5'
      ? Buffer.alloc(0)
      : type === 'x' || type === 'g'
        ? paxRecord(type === 'g' && mode % 2 === 0 ? 'comment' : 'path', name)
        : type === 'L'
          ? Buffer.from(`${name}\0`)
          : content
  const extended = records.map(([key, value]) => paxRecord(key, value))
  const front = extended.length === 0 ? [] : [block('PaxHeaders/x', 'x', Buffer.concat(extended), 0o644)]
  return Buffer.concat([...front, block(name, type, body, mode, magic, hasPrefix)])
}

export const end = Buffer.concat([zeroBlock(), zeroBlock()])
export const tars = fc.array(entries, { maxLength: 4 }).map((list) => Buffer.concat([...list.map(write), end]))
export const plain = entries.map((entry) => ({
  ...entry,
  type: '0',
  records: [],
  magic: 'ustar' as const,
  hasPrefix: false,
}))
/** Sound but for names that come twice, or as a file and a folder. */
export const sound = fc.record<Written>({
  name: fc
    .tuple(
      fc.constantFrom('', '', './', '/'),
      fc.array(fc.constantFrom('a', 'b', './c', '/d'), { minLength: 1, maxLength: 3 }),
    )
    .map(([start, parts]) => `${start}${parts.join('/')}`),
  type: fc.constantFrom('0', '0', '5'),
  content: fc.uint8Array({ maxLength: 10 }).map((bytes) => Buffer.from(bytes)),
  mode: fc.constant(0o644),
  records: fc.constant([]),
  magic: fc.constant('ustar'),
})
const tokens = [
  zeroBlock(),
  end,
  block('a', '0', Buffer.from('x'), 0o644),
  block('a', '2', Buffer.alloc(0), 0o644),
  encodeHeader({ name: 'x', type: 'x', size: 2 * 1024 ** 2, mode: 0o644 }),
  block('././@LongLink', 'L', Buffer.from('../../x\0'), 0o644),
  paxRecord('path', '../x'),
  Buffer.from('\xff', 'latin1'),
  Buffer.from('ustar'),
]
/** Half of them with the checksums of all whole blocks made right again. */
export const hostileTars = fc
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

export async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

export interface Found extends Omit<TarEntry, 'content'> {
  bytes: Buffer
}

export async function readAll<T extends TarEntry>(source: AsyncIterable<T>, reads: boolean): Promise<(Found & T)[]> {
  const found: (Found & T)[] = []
  for await (const entry of source) {
    const chunks = reads ? await Array.fromAsync(entry.content()) : []
    found.push({ ...entry, bytes: Buffer.concat(chunks.map((chunk) => Buffer.from(chunk))) })
  }
  return found
}

export function bare(list: readonly Found[]): Omit<Found, 'content'>[] {
  return list.map(({ name, type, size, executable, bytes }) => ({ name, type, size, executable, bytes }))
}
