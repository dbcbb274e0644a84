import { createHash } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { constants, crc32, createDeflateRaw } from 'node:zlib'
import { IntegrityError } from '../lib/errors.ts'
import { finish, type Digest } from '../oci/digest.ts'
import { describeDisk } from './disk.ts'
import { compareBytes, parentsOf } from './names.ts'
import { blockBytes, encodeHeader, paxRecord, zeroBlock } from './tar-header.ts'

/** A file to be packed. */
export interface PackFile {
  /** Relative, `/` between parts, no `.` or `..`. */
  path: string
  /** Bytes; `open` must give exactly as many. */
  size: number
  executable?: boolean
  open(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>
}

export interface Packed {
  path: string
  /** Bytes. */
  size: number
  digest: Digest
  /** Of the tar inside, as `io.deis.oras.content.digest` wants it. */
  uncompressedDigest: Digest
}

/** Written out although they are zlib's defaults: they decide which bytes come out. */
const deflateSettings = { level: 6, memLevel: 8, windowBits: 15, strategy: constants.Z_DEFAULT_STRATEGY }

const batchBytes = 256 * 1024

/** https://www.rfc-editor.org/rfc/rfc1952: no name, no time, an unknown system; zlib would write the real one. */
const gzipHeader = Buffer.from('1f8b08000000000000ff', 'hex')

/**
 * Writes a tar.gz that depends on nothing but names and contents: sorted, no times and owners, a folder before what is
 * in it (oras and conftest make no missing ones), and exactly two zero blocks at the end (they hash no more than that).
 * On an error nothing is left at `path`.
 */
export async function packTarGz(files: readonly PackFile[], path: string, signal?: AbortSignal): Promise<Packed> {
  const tarHash = createHash('sha256')
  const gzipHash = createHash('sha256')
  let checksum = 0
  let tarSize = 0
  let size = 0
  async function* tar() {
    for await (const chunk of inBatches(writeTar(files))) {
      tarHash.update(chunk)
      checksum = crc32(chunk, checksum)
      tarSize += chunk.length
      yield chunk
    }
  }
  async function* gzip(deflated: AsyncIterable<Buffer>) {
    for await (const chunk of framed(deflated, () => gzipTrailer(checksum, tarSize))) {
      gzipHash.update(chunk)
      size += chunk.length
      yield chunk
    }
  }
  try {
    // Opened before anything can fail: a file that came into being after the removal would stay.
    const target = (await open(path, 'wx')).createWriteStream()
    await pipeline(tar, createDeflateRaw(deflateSettings), gzip, target, { ...(signal && { signal }) })
  } catch (error) {
    await rm(path, { force: true }).catch(() => undefined)
    throw signal?.aborted === true ? signal.reason : describeDisk(error, `a file in ${dirname(path)}`)
  }
  return { path, size, digest: finish(gzipHash, 'sha256'), uncompressedDigest: finish(tarHash, 'sha256') }
}

/** Many small pieces would each be a trip through the streams. */
async function* inBatches(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let batch: Uint8Array[] = []
  let size = 0
  for await (const piece of pieces) {
    batch.push(piece)
    size += piece.length
    if (size < batchBytes) continue
    yield Buffer.concat(batch)
    batch = []
    size = 0
  }
  yield Buffer.concat(batch)
}

async function* framed(deflated: AsyncIterable<Buffer>, trailer: () => Buffer): AsyncGenerator<Buffer> {
  yield gzipHeader
  yield* deflated
  yield trailer()
}

function gzipTrailer(checksum: number, size: number): Buffer {
  const trailer = Buffer.alloc(8)
  trailer.writeUInt32LE(checksum >>> 0, 0)
  trailer.writeUInt32LE(size % 2 ** 32, 4)
  return trailer
}

async function* writeTar(files: readonly PackFile[]): AsyncGenerator<Uint8Array> {
  const folders = new Set<string>()
  for (const file of files.toSorted((a, b) => compareBytes(a.path, b.path))) {
    for (const folder of parentsOf(file.path)) {
      if (folders.has(folder)) continue
      folders.add(folder)
      yield header({ name: `${folder}/`, type: '5', size: 0, mode: 0o755 })
    }
    yield header({ name: file.path, type: '0', size: file.size, mode: file.executable === true ? 0o755 : 0o644 })
    yield* padded(file)
  }
  yield zeroBlock()
  yield zeroBlock()
}

async function* padded(file: PackFile): AsyncGenerator<Uint8Array> {
  let size = 0
  for await (const chunk of file.open()) {
    size += chunk.length
    if (size <= file.size) yield chunk
  }
  if (size !== file.size) {
    throw new IntegrityError(
      'size_mismatch',
      `${file.path} changed while it was packed: ${size} bytes, not ${file.size}`,
      {
        file: file.path,
      },
    )
  }
  yield Buffer.alloc((blockBytes - (size % blockBytes)) % blockBytes)
}

/** With a pax header before it where the name is too long for the plain one, or not ASCII. */
function header(entry: { name: string; type: '0' | '5'; size: number; mode: number }): Buffer {
  if (/^[\x20-\x7e]{1,100}$/.test(entry.name)) return encodeHeader(entry)
  const record = paxRecord('path', entry.name)
  const padding = Buffer.alloc((blockBytes - (record.length % blockBytes)) % blockBytes)
  const extended = encodeHeader({ name: 'PaxHeaders/path', type: 'x', size: record.length, mode: 0o644 })
  // A reader that knows no pax would take this name; it must not be one that means something.
  return Buffer.concat([
    extended,
    record,
    padding,
    encodeHeader({ ...entry, name: `long-name${entry.type === '5' ? '/' : ''}` }),
  ])
}
