import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { StorageError } from '../lib/errors.ts'
import { finish, type Algorithm, type Digest } from '../oci/digest.ts'
import type { ByteRange } from './content.ts'
import { isMissing, onDisk, storageError } from './errors.ts'

const chunkBytes = 256 * 1024

/** A stored file's bytes. Throws StorageError `corrupt` when it is gone. */
export async function* readFileChunks(path: string, range?: ByteRange): AsyncIterable<Uint8Array> {
  const attempt = { what: 'reading a blob', path }
  const { handle, size } = await openBlob(path)
  try {
    const end = Math.min(size, range === undefined ? Infinity : range.last + 1)
    let at = range?.first ?? 0
    while (at < end) {
      // A new buffer each time: the reader may keep it.
      const buffer = Buffer.allocUnsafeSlow(Math.min(chunkBytes, end - at))
      const { bytesRead } = await onDisk(attempt, () => handle.read(buffer, 0, buffer.byteLength, at))
      if (bytesRead === 0) return
      at += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await handle.close()
  }
}

async function openBlob(path: string): Promise<{ handle: FileHandle; size: number }> {
  try {
    const handle = await open(path, 'r')
    return { handle, size: (await handle.stat()).size }
  } catch (error) {
    throw isMissing(error) ? gone(path, error) : storageError(error, { what: 'opening a blob', path })
  }
}

export function gone(path: string, cause?: unknown): StorageError {
  return new StorageError('corrupt', `the blob at ${path} is gone`, {
    cause,
    hint: 'Something outside of longshore removed it. Push or fetch its artifact again, or restore the file.',
  })
}

export async function hashFile(path: string, algorithm: Algorithm, signal?: AbortSignal): Promise<Digest> {
  const hash = createHash(algorithm)
  for await (const chunk of readFileChunks(path)) {
    signal?.throwIfAborted()
    hash.update(chunk)
  }
  return finish(hash, algorithm)
}
