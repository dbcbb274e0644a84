import { StorageError, type StorageCode } from '../lib/errors.ts'

const codes: Record<string, StorageCode> = {
  ENOSPC: 'disk_full',
  EDQUOT: 'disk_full',
  EROFS: 'read_only',
  EACCES: 'read_only',
  EPERM: 'read_only',
}

/** The file system's own errors as StorageError; all others as they are. `what` was being written. */
export function describeDisk(error: unknown, what: string): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException
  if (!(error instanceof Error) || syscall === undefined || code === undefined) return error
  const why = codes[code] === 'disk_full' ? 'the disk is full' : message
  return new StorageError(codes[code] ?? 'io', `cannot write ${what}: ${why}`, { cause: error })
}
