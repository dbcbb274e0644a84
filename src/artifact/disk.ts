import { diskReason } from '../lib/disk.ts'
import { StorageError } from '../lib/errors.ts'

/** The file system's own errors as StorageError; all others as they are. `what` was being written. */
export function describeDisk(error: unknown, what: string): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException
  if (!(error instanceof Error) || syscall === undefined || code === undefined) return error
  const reason = diskReason(error)
  const hint = reason.hint && { hint: reason.hint(what) }
  return new StorageError(reason.code, `cannot write ${what}: ${reason.why}`, { cause: error, ...hint })
}
