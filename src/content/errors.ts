import { LongshoreError, StorageError, type StorageCode } from '../lib/errors.ts'

/** What was tried, on which path: `writing a blob`, `/data/ingest/…`. */
export interface Attempt {
  what: string
  path: string
}

const known: Record<string, { code: StorageCode; why: string; hint: (path: string) => string }> = {
  ENOSPC: {
    code: 'disk_full',
    why: 'the disk is full',
    hint: (path) => `Free space on the disk that holds ${path}, or move the content folder to a larger one.`,
  },
  EDQUOT: {
    code: 'disk_full',
    why: 'the disk quota is used up',
    hint: (path) => `Free space in ${path}, or ask for a larger quota.`,
  },
  EROFS: {
    code: 'read_only',
    why: 'the file system is read-only',
    hint: (path) => `Mount the file system that holds ${path} writable.`,
  },
  EACCES: {
    code: 'read_only',
    why: 'permission was denied',
    hint: (path) => `Give the user that longshore runs as the right to write ${path}.`,
  },
  EPERM: {
    code: 'read_only',
    why: 'permission was denied',
    hint: (path) => `Give the user that longshore runs as the right to write ${path}.`,
  },
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
  const reason = known[codeOf(error) ?? '']
  if (reason === undefined) {
    const why = codeOf(error) ?? (error instanceof Error ? error.message : String(error))
    return new StorageError('io', `${what} failed at ${path}: ${why}`, { cause: error })
  }
  return new StorageError(reason.code, `${what} failed at ${path}: ${reason.why}`, {
    cause: error,
    hint: reason.hint(path),
  })
}

/** Runs one step on the file system; its errors come out as StorageError. */
export async function onDisk<T>(attempt: Attempt, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw storageError(error, attempt)
  }
}
