import { StorageError } from '../lib/errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { BlobInfo, Content } from './content.ts'

/**
 * After reading it failed: takes a blob whose bytes do not hash to its name away, so that it can come again, since what is there
 * already is not written anew. It is read once more for that: the fault may have been the reading's. True when it is gone.
 */
export async function removeIfDamaged(content: Pick<Content, 'verify' | 'remove'>, digest: Digest): Promise<boolean> {
  try {
    // Who stores the same now waits for the answer: a good one that comes meanwhile is not taken for this one.
    return await content.remove(digest, async () => !(await content.verify(digest)))
  } catch (error) {
    if (isCorrupt(error)) return true
    throw error
  }
}

export function isCorrupt(error: unknown): error is StorageError {
  return error instanceof StorageError && error.code === 'corrupt'
}

/** Whether the blob's file is there, in its size: the catalog may name what something outside of longshore took away. */
export async function isStored(content: Pick<Content, 'stat'>, { digest, size }: BlobInfo): Promise<boolean> {
  return (await content.stat(digest))?.size === size
}
