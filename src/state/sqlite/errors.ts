import { LongshoreError, StorageError, type StorageCode } from '../../lib/errors.ts'

/** What to do where the state is of no use any more. */
export function waysOut(path: string): string {
  return `Restore a backup into an empty folder, or move ${path} away and start with --rebuild-state.`
}

/** https://www.sqlite.org/rescode.html: the low byte of an extended code is the primary one. */
const known: Record<number, { code: StorageCode; why: string; hint: (path: string) => string }> = {
  5: {
    code: 'locked',
    why: 'another program holds a lock on it',
    hint: (path) => `End the program that uses ${path}.`,
  },
  8: {
    code: 'read_only',
    why: 'it cannot be written',
    hint: (path) => `Check that ${path} and its file system are writable for the user that longshore runs as.`,
  },
  10: { code: 'io', why: 'the disk reported an error', hint: (path) => `Check the disk that holds ${path}.` },
  11: { code: 'corrupt', why: 'the file is damaged', hint: waysOut },
  13: {
    code: 'disk_full',
    why: 'the disk is full',
    hint: (path) => `Free space on the disk that holds ${path}, or move the folder to a larger one.`,
  },
  14: {
    code: 'io',
    why: 'the file cannot be opened',
    hint: (path) => `Check that ${path} is a file in a folder that the user that longshore runs as may write.`,
  },
  26: { code: 'corrupt', why: 'the file is no database', hint: waysOut },
}

/** SQLite's error as one of ours; anything else, a broken constraint too, is a defect of ours and stays as it is. */
export function sqliteError(error: unknown, what: string, path: string): unknown {
  const errcode = (error as { errcode?: number } | undefined)?.errcode
  const reason = errcode === undefined ? undefined : known[errcode & 0xff]
  if (error instanceof LongshoreError || reason === undefined) return error
  return new StorageError(reason.code, `${what} failed in ${path}: ${reason.why}`, {
    cause: error,
    hint: reason.hint(path),
  })
}

/** An error on its way between threads. */
export interface SentError {
  /** A StorageCode; undefined for a defect. */
  code: StorageCode | undefined
  message: string
  hint: string | undefined
  stack: string | undefined
}

export function packError(error: unknown): SentError {
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  const ours = error instanceof StorageError ? error : undefined
  return { code: ours?.code, message, hint: ours?.hint, stack }
}

export function unpackError({ code, message, hint, stack }: SentError): Error {
  const cause = { stack }
  if (code === undefined) return new Error(message, { cause })
  return new StorageError(code, message, { cause, ...(hint === undefined ? {} : { hint }) })
}
