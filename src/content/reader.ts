import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { StorageError } from '../lib/errors.ts'
import { GrowingHash } from '../lib/hash/growing.ts'
import { hashOf } from '../lib/hash/pour.ts'
import { lend } from '../lib/lent.ts'
import type { Algorithm, Digest } from '../oci/digest.ts'
import { abortable } from './abortable.ts'
import type { FileState } from './checks.ts'
import type { ByteRange } from './content.ts'
import { isMissing, onDisk, storageError } from './errors.ts'

const chunkBytes = 256 * 1024
/** What is no larger is read into a buffer that is used again. */
const smallBytes = 64 * 1024
const mostSpareSmall = 4
const spareSmall: Buffer[] = []

/** A stored file, open for reading; whoever opened it closes it. */
export interface OpenFile {
  path: string
  handle: FileHandle
  state: FileState
}

/** Throws StorageError `corrupt` when it is gone. */
export async function openFile(path: string): Promise<OpenFile> {
  try {
    const handle = await open(path, 'r')
    try {
      return { path, handle, state: await handle.stat() }
    } catch (error) {
      await handle.close()
      throw error
    }
  } catch (error) {
    throw isMissing(error) ? gone(path, error) : storageError(error, { what: 'opening a blob', path })
  }
}

/** A stored file's bytes. Throws StorageError `corrupt` when it is gone. */
export async function* readFileChunks(path: string, range?: ByteRange): AsyncIterable<Uint8Array> {
  const file = await openFile(path)
  try {
    yield* chunksOf(file, range)
  } finally {
    await file.handle.close()
  }
}

export async function* chunksOf({ path, handle, state }: OpenFile, range?: ByteRange): AsyncIterable<Uint8Array> {
  const attempt = { what: 'reading a blob', path }
  const end = Math.min(state.size, range === undefined ? Infinity : range.last + 1)
  let at = range?.first ?? 0
  const bufferBytes = Math.min(chunkBytes, end - at)
  const spare: Buffer[] = []
  while (at < end) {
    // The reader may keep it: it is used again only once all of it was released.
    const buffer = spare.pop() ?? Buffer.allocUnsafeSlow(bufferBytes)
    const { bytesRead } = await onDisk(attempt, () => handle.read(buffer, 0, Math.min(bufferBytes, end - at), at))
    if (bytesRead === 0) return
    at += bytesRead
    lend(buffer, bytesRead, () => spare.push(buffer))
    yield buffer.subarray(0, bytesRead)
  }
}

export function gone(path: string, cause?: unknown): StorageError {
  return new StorageError('corrupt', `the blob at ${path} is gone`, {
    cause,
    hint: 'Something outside of longshore removed it. Push or fetch its artifact again, or restore the file.',
  })
}

export function damaged(path: string): StorageError {
  return new StorageError('corrupt', `the blob at ${path} does not hash to its name`, {
    hint: 'The disk or a program changed it. Restore it from a backup, or remove it and push or fetch its artifact again.',
  })
}

export async function hashFile(path: string, algorithm: Algorithm, signal?: AbortSignal): Promise<Digest> {
  const file = await openFile(path)
  try {
    signal?.throwIfAborted()
    return file.state.size <= smallBytes
      ? await hashSmall(file, algorithm)
      : await hashChunks(chunksOf(file), algorithm, signal)
  } finally {
    await file.handle.close()
  }
}

/** Of thousands of them, one after the other, no garbage is left: V8 lets tens of MiB of it lie for as long as its own heap is small. */
async function hashSmall({ path, handle, state }: OpenFile, algorithm: Algorithm): Promise<Digest> {
  const buffer = spareSmall.pop() ?? Buffer.allocUnsafeSlow(smallBytes)
  const attempt = { what: 'reading a blob', path }
  const hash = createHash(algorithm)
  try {
    for (let at = 0; at < state.size;) {
      const { bytesRead } = await onDisk(attempt, () => handle.read(buffer, 0, state.size - at, at))
      if (bytesRead === 0) break
      hash.update(buffer.subarray(0, bytesRead))
      at += bytesRead
    }
    return `${algorithm}:${hash.digest('hex')}`
  } finally {
    if (spareSmall.length < mostSpareSmall) spareSmall.push(buffer)
  }
}

export async function hashChunks(
  chunks: AsyncIterable<Uint8Array>,
  algorithm: Algorithm,
  signal?: AbortSignal,
): Promise<Digest> {
  return `${algorithm}:${await hashOf(abortable(chunks, signal), new GrowingHash(algorithm))}`
}
