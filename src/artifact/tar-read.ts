import { IntegrityError } from '../lib/errors.ts'
import { blockBytes, isZeroBlock, parseHeader, parsePax, textUpToNul, type TarHeader } from './tar-header.ts'

/** Long names and the like; Go's reader has the same ceiling. */
const maxMetaBytes = 1024 * 1024

export interface TarEntry {
  /** As written, not yet judged. */
  name: string
  type: 'file' | 'directory'
  /** Bytes. */
  size: number
  executable: boolean
  /** The content, once, before the next entry is asked for; what is not read is skipped. */
  content(): AsyncIterable<Buffer>
}

const refused: Record<string, string> = {
  '1': 'a hard link',
  '2': 'a symbolic link',
  '3': 'a character device',
  '4': 'a block device',
  '6': 'a named pipe',
  S: 'a sparse file',
}

/**
 * The files and folders of an uncompressed tar stream. Strict where node-tar's parser and others let things pass: what
 * is damaged, unknown or hidden behind the end throws IntegrityError `bad_archive`, links and devices `unsafe_path`;
 * so that nobody else reads another content out of the same bytes.
 */
export async function* readTar(source: AsyncIterable<Buffer>): AsyncGenerator<TarEntry> {
  const bytes = new ByteReader(source)
  try {
    for (;;) {
      const block = await bytes.block()
      if (block === undefined) throw bad('ends without the two zero blocks that mark the end: it was cut off')
      if (isZeroBlock(block)) break
      const header = await readHeader(block, bytes)
      if (header === undefined) continue
      const content = new Content(bytes, header.size)
      yield { ...entryOf(header), content: () => content.read() }
      await content.skip()
    }
    await expectEnd(bytes)
  } finally {
    await bytes.close()
  }
}

/** The header with what extended headers before it say. Undefined for a global one, which is allowed to be a comment. */
async function readHeader(first: Buffer, bytes: ByteReader): Promise<TarHeader | undefined> {
  let header = parseHeader(first)
  if (header.type === 'g') {
    refuseOverrides(parsePax(await readMeta(header, bytes)))
    return undefined
  }
  const seen: string[] = []
  let name: string | undefined
  let size: number | undefined
  while (['x', 'L', 'K'].includes(header.type)) {
    const { type } = header
    const data = await readMeta(header, bytes)
    if (seen.includes(type)) throw bad('has two extended headers for one entry')
    seen.push(type)
    if (type === 'L') name = setOnce(name, textUpToNul(data))
    if (type === 'x') {
      const pax = readPax(data)
      if (pax.name !== undefined) name = setOnce(name, pax.name)
      size = pax.size
    }
    const next = await bytes.block()
    if (next === undefined || isZeroBlock(next)) throw bad('ends within an entry')
    header = parseHeader(next)
  }
  return { ...header, name: name ?? header.name, size: size ?? header.size }
}

function setOnce(name: string | undefined, value: string): string {
  if (name === undefined) return value
  throw bad('has an entry with two long names')
}

async function readMeta(header: TarHeader, bytes: ByteReader): Promise<Buffer> {
  if (header.size > maxMetaBytes) throw bad(`has an extended header of ${header.size} bytes`)
  const chunks: Buffer[] = []
  const content = new Content(bytes, header.size)
  for await (const chunk of content.read()) chunks.push(Buffer.from(chunk))
  await content.skip()
  return Buffer.concat(chunks)
}

function readPax(data: Buffer): { name?: string; size?: number } {
  const records = parsePax(data)
  const [name, size] = [records.get('path'), records.get('size')]
  if ([...records.keys()].some((key) => key.startsWith('GNU.sparse.'))) throw unsafe(name ?? '', 'a sparse file')
  if (name === '') throw bad('has an extended header with an empty name')
  if (size !== undefined && !/^\d{1,15}$/.test(size)) throw bad('has an extended header whose size is no number')
  return { ...(name !== undefined && { name }), ...(size !== undefined && { size: Number(size) }) }
}

/** `git archive` writes its commit there; a name or size for every entry is only ever an attack. */
function refuseOverrides(records: Map<string, string>): void {
  const key = [...records.keys()].find(
    (name) => ['path', 'linkpath', 'size'].includes(name) || name.startsWith('GNU.sparse.'),
  )
  if (key !== undefined) throw bad(`has a global header that sets "${key}" for every entry`)
}

function entryOf({ name, type, size, mode }: TarHeader): Omit<TarEntry, 'content'> {
  // The old form of a regular file; a trailing slash there means a folder.
  const kind = type === '\0' ? (name.endsWith('/') ? '5' : '0') : type
  if (kind === '5') {
    if (size !== 0) throw bad(`has a folder with content: ${JSON.stringify(name)}`, name)
    return { name, type: 'directory', size: 0, executable: false }
  }
  if (kind !== '0') throw unsafe(name, refused[kind] ?? `an entry of the unknown type ${JSON.stringify(kind)}`)
  if (name.endsWith('/')) throw bad(`has a file whose name ends in a slash: ${JSON.stringify(name)}`, name)
  return { name, type: 'file', size, executable: (mode & 0o111) !== 0 }
}

/** After the first zero block there may only be more of them: GNU tar pads to 10 KiB. */
async function expectEnd(bytes: ByteReader): Promise<void> {
  const second = await bytes.block()
  if (second === undefined) throw bad('ends after one zero block instead of two: it was cut off')
  let block: Buffer | undefined = second
  while (block !== undefined) {
    if (!isZeroBlock(block)) throw bad('goes on after its end')
    block = await bytes.block()
  }
}

/** Exactly `size` bytes and the padding after them. */
class Content {
  readonly #bytes: ByteReader
  readonly #padding: number
  #left: number

  constructor(bytes: ByteReader, size: number) {
    this.#bytes = bytes
    this.#left = size
    this.#padding = (blockBytes - (size % blockBytes)) % blockBytes
  }

  async *read(): AsyncGenerator<Buffer> {
    while (this.#left > 0) {
      const chunk = await this.#bytes.some(this.#left)
      if (chunk === undefined) throw bad('ends within a file: it was cut off')
      this.#left -= chunk.length
      yield chunk
    }
  }

  async skip(): Promise<void> {
    let left = this.#left + this.#padding
    this.#left = 0
    while (left > 0) {
      const chunk = await this.#bytes.some(left)
      if (chunk === undefined) throw bad('ends within a file: it was cut off')
      left -= chunk.length
    }
  }
}

class ByteReader {
  readonly #source: AsyncIterator<Buffer>
  #buffer: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** At most `max` bytes, at least one; undefined at the end. */
  async some(max: number): Promise<Buffer | undefined> {
    while (this.#buffer.length === 0) {
      const next = await this.#source.next()
      if (next.done === true) return undefined
      this.#buffer = next.value
    }
    const chunk = this.#buffer.subarray(0, max)
    this.#buffer = this.#buffer.subarray(chunk.length)
    return chunk
  }

  /** The next 512 bytes; undefined at the end. */
  async block(): Promise<Buffer | undefined> {
    const first = await this.some(blockBytes)
    if (first === undefined || first.length === blockBytes) return first
    const parts = [first]
    for (let length = first.length; length < blockBytes;) {
      const chunk = await this.some(blockBytes - length)
      if (chunk === undefined) throw bad('ends within a block: it was cut off')
      parts.push(chunk)
      length += chunk.length
    }
    return Buffer.concat(parts)
  }

  async close(): Promise<void> {
    await this.#source.return?.()
  }
}

function bad(why: string, file?: string): IntegrityError {
  return new IntegrityError('bad_archive', `the archive ${why}`, file === undefined ? {} : { file })
}

function unsafe(name: string, what: string): IntegrityError {
  return new IntegrityError('unsafe_path', `the archive holds ${what}: ${JSON.stringify(name.slice(0, 200))}`, {
    file: name,
    hint: 'Pack regular files and folders only: longshore never follows or makes links.',
  })
}
