import { IntegrityError } from '../lib/errors.ts'

/** As long as a path may be on Linux. */
const maxPathBytes = 4096
/** Folders within each other: what costs something for each of them must not add up, entry by entry. */
const maxDepth = 255

/**
 * A name from an archive or an annotation as a relative path without `.` and empty parts; `''` is the folder itself.
 * OPA writes its own bundles with a leading slash, so that can be allowed: it then means the archive's root.
 * Throws IntegrityError `unsafe_path` for names that leave the folder, are absolute, or cannot be a path.
 */
export function safePath(name: string, what: string, options: { leadingSlash: 'allow' | 'refuse' }): string {
  const refuse = (why: string) =>
    new IntegrityError('unsafe_path', `${what} ${why}: ${JSON.stringify(name.slice(0, 200))}`, { file: name })
  if (name.includes('\0')) throw refuse('has a NUL in its name')
  if (Buffer.byteLength(name) > maxPathBytes) throw refuse(`has a name of more than ${maxPathBytes} bytes`)
  if (name.startsWith('/') && options.leadingSlash === 'refuse') throw refuse('has an absolute name')
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..')) throw refuse('has a name that leaves the folder')
  if (parts.length > maxDepth + 1) throw refuse(`has a name that nests deeper than ${maxDepth} folders`)
  return parts.join('/')
}

/** `a/b/c` → `a`, `a/b`. */
export function parentsOf(path: string): string[] {
  const parts = path.split('/')
  return parts.slice(0, -1).map((_part, at) => parts.slice(0, at + 1).join('/'))
}

/** In the order of their bytes, the same on every machine. */
export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
