import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { pipeline, type Duplex, type Readable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { IntegrityError, LongshoreError } from '../lib/errors.ts'
import { formatSize } from '../lib/units.ts'
import { safePath } from './names.ts'
import { readTar, type TarEntry } from './tar-read.ts'
import type { ArchiveLimits } from './types.ts'

export type Compression = 'gzip' | 'zstd' | 'none'

/** Up to here an archive may expand as it likes: an almost empty one that is padded to 10 KiB already does so a hundredfold. */
const freeUnpackedBytes = 1024 * 1024
const chunkBytes = 256 * 1024
const leastChunkBytes = 16 * 1024

export interface ArchiveOptions {
  limits: ArchiveLimits
  /** OPA writes `/data.json` and means the archive's root. */
  leadingSlash: 'allow' | 'refuse'
  signal?: AbortSignal | undefined
}

/** A file or folder of an archive that may be trusted to stay inside. */
export interface ArchiveEntry extends TarEntry {
  /** Relative, without `.`, `..` and empty parts; never `''`. */
  path: string
}

/** What the file is by its first bytes, whatever its media type claims. */
export async function compressionOf(path: string): Promise<Compression> {
  const handle = await open(path)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0)
    return compressionIn(buffer.subarray(0, bytesRead))
  } finally {
    await handle.close()
  }
}

export function compressionIn(bytes: Buffer): Compression {
  const magic = bytes.toString('hex', 0, 4)
  if (magic.startsWith('1f8b')) return 'gzip'
  return magic === '28b52ffd' ? 'zstd' : 'none'
}

/**
 * The entries of a tar file, compressed or not, in a stream. Throws IntegrityError `bad_archive` for what is damaged or
 * beyond the limits, and `unsafe_path` for names that leave the folder, links and devices; the file is named.
 */
export function readArchive(path: string, options: ArchiveOptions): AsyncGenerator<ArchiveEntry> {
  return entriesIn(unpackedBytes(path, options), options)
}

/** The same of what is unpacked already. */
export async function* entriesIn(
  source: AsyncIterable<Buffer>,
  options: Omit<ArchiveOptions, 'signal'>,
): AsyncGenerator<ArchiveEntry> {
  const { limits } = options
  const known = new KnownPaths()
  let entries = 0
  for await (const entry of readTar(source)) {
    entries += 1
    if (entries > limits.maxEntries) throw beyond(`has more than ${limits.maxEntries} entries`)
    const inside = safePath(entry.name, 'an entry of the archive', options)
    if (entry.size > limits.maxFileBytes) {
      throw beyond(
        `holds ${inside} with ${formatSize(entry.size)}, more than ${formatSize(limits.maxFileBytes)}`,
        inside,
      )
    }
    if (inside !== '') {
      known.add(inside, entry.type)
      if (known.size > limits.maxEntries) throw beyond(`has more than ${limits.maxEntries} files and folders`)
      yield { ...entry, path: inside }
    } else if (entry.type === 'file') {
      throw new IntegrityError('bad_archive', 'the archive has a file without a name')
    }
  }
}

/** The archive after decompression, counted against the limits. */
export async function* unpackedBytes(path: string, options: ArchiveOptions): AsyncGenerator<Buffer> {
  const { signal } = options
  const compression = await compressionOf(path)
  const packedSize = (await stat(path)).size
  const file = createReadStream(path, { highWaterMark: chunkBytes, ...(signal && { signal }) })
  yield* unpack(file, { compression, packedSize }, options)
}

interface Packed {
  compression: Compression
  /** Bytes. */
  packedSize: number
}

export async function* unpack(
  packed: Readable,
  { compression, packedSize }: Packed,
  { limits, signal }: Omit<ArchiveOptions, 'leadingSlash'>,
): AsyncGenerator<Buffer> {
  const stream = unpackedStream(packed, compression, Math.min(chunkBytes, Math.max(leastChunkBytes, packedSize)))
  let size = 0
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > limits.maxUnpackedBytes) {
        throw beyond(`unpacks to more than ${formatSize(limits.maxUnpackedBytes)}`)
      }
      if (size > Math.max(freeUnpackedBytes, packedSize * limits.maxRatio)) {
        throw beyond(`unpacks to more than ${limits.maxRatio} times its ${formatSize(packedSize)}`)
      }
      yield chunk
    }
  } catch (error) {
    throw describe(error, compression, signal)
  } finally {
    stream.destroy()
  }
}

function unpackedStream(packed: Readable, compression: Compression, chunkSize: number): Readable | Duplex {
  if (compression === 'none') return packed
  const unpacked = compression === 'gzip' ? createGunzip({ chunkSize }) : createZstdDecompress({ chunkSize })
  // An error of either destroys the other and surfaces where `unpacked` is read.
  return pipeline(packed, unpacked, () => undefined)
}

/** zlib's errors say nothing of what was read; our own and the file system's pass. */
function describe(error: unknown, compression: Compression, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return signal.reason
  if (error instanceof LongshoreError) return error
  const { code, message } = error as NodeJS.ErrnoException
  if (code === undefined || !/^(Z_|ZSTD_|ERR_ZSTD|ERR_ZLIB|ERR_TRAILING_JUNK)/.test(code)) return error
  const why = code === 'Z_BUF_ERROR' ? 'it was cut off' : message
  return new IntegrityError('bad_archive', `the archive is damaged ${compression}: ${why}`, { cause: error })
}

/** A folder's files, as undefined, and folders by name. */
type Folder = Map<string, Folder | undefined>

/** One name means one thing: no second file under it, and no file where there are files below. */
class KnownPaths {
  readonly #top: Folder = new Map()
  /** Files, and folders, whether or not they have entries of their own. */
  size = 0

  add(path: string, type: 'file' | 'directory'): void {
    const parts = path.split('/')
    let folder = this.#top
    for (const [at, part] of parts.entries()) {
      const isFile = type === 'file' && at === parts.length - 1
      if (!folder.has(part)) {
        folder.set(part, isFile ? undefined : new Map())
        this.size += 1
      } else if (isFile || folder.get(part) === undefined) {
        const isTwice = isFile && folder.get(part) === undefined
        throw twice(parts.slice(0, at + 1).join('/'), isTwice ? 'is there twice' : 'is a file and a folder')
      }
      folder = folder.get(part) ?? folder
    }
  }
}

function twice(path: string, why: string): IntegrityError {
  return new IntegrityError('bad_archive', `in the archive, ${path} ${why}`, { file: path })
}

function beyond(why: string, file?: string): IntegrityError {
  return new IntegrityError('bad_archive', `the archive ${why}`, {
    ...(file !== undefined && { file }),
    hint: 'The ceilings are in the config, under `limits`.',
  })
}
