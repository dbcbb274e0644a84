import { diskReason } from '../lib/disk.ts'
import { LongshoreError, StorageError } from '../lib/errors.ts'

/** What was tried, on which path: `writing a blob`, `/data/ingest/…`. */
export interface Attempt {
  what: string
  path: string
}

export function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT'
}

export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code
}

/** A file system's error as one of ours; one of ours stays what it is. */
export function storageError(error: unknown, { what, path }: Attempt): LongshoreError {
  if (error instanceof LongshoreError) return error
  const reason = diskReason(error)
  const hint = reason.hint && { hint: reason.hint(path) }
  return new StorageError(reason.code, `${what} failed at ${path}: ${reason.why}`, { cause: error, ...hint })
}

/** Runs one step on the file system; its errors come out as StorageError. */
export async function onDisk<T>(attempt: Attempt, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw storageError(error, attempt)
  }
}
