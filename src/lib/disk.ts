import type { StorageCode } from './errors.ts'

interface Reason {
  code: StorageCode
  /** For a person, without a colon. */
  why: string
  /** What to do about it; `path` is what was to be used. */
  hint?: ((path: string) => string) | undefined
}

const denied: Reason = {
  code: 'read_only',
  why: 'permission was denied',
  hint: (path) => `Give the user that longshore runs as the right to write ${path}.`,
}

const reasons: Record<string, Reason> = {
  ENOSPC: {
    code: 'disk_full',
    why: 'the disk is full',
    hint: (path) => `Free space on the disk that holds ${path}, or use a larger one.`,
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
  EACCES: denied,
  EPERM: denied,
  ENOENT: { code: 'io', why: 'there is no such file or folder' },
  ENOTDIR: { code: 'io', why: 'a file is where a folder must be' },
  EEXIST: { code: 'io', why: 'something else is there already' },
  EISDIR: { code: 'io', why: 'a folder is where a file must be' },
  ENAMETOOLONG: { code: 'io', why: 'a name is too long for this file system' },
  EMFILE: { code: 'io', why: 'this process has too many files open' },
  EIO: { code: 'io', why: 'the disk cannot read or write it' },
}

const noFolderThere: Reason = {
  code: 'io',
  why: 'no folder can be made there',
  hint: () => 'Name one below a folder that can be written.',
}

/** A file system's own error in words. */
export function diskReason(error: unknown): Reason {
  const { code = '', syscall, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT' && syscall === 'mkdir') return noFolderThere
  return reasons[code] ?? { code: 'io', why: code === '' ? message : code }
}
