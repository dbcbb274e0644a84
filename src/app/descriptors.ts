import { readFile } from 'node:fs/promises'
import type { Logger } from '../lib/logger.ts'

/** For files: the database, blobs that are read and written, threads. */
const reserved = 2_000

/**
 * How many connections there may be: what is configured, or less where this process may not open as many files. Beyond
 * that nothing could be read from disk either.
 */
export async function boundByDescriptors(maxConnections: number, logger: Logger): Promise<number> {
  const mayOpen = readOpenFilesLimit(await readFile('/proc/self/limits', 'utf8').catch(() => ''))
  const left = connectionsWithin(mayOpen)
  if (left >= maxConnections) return maxConnections
  logger.info(
    { maxConnections: left, configured: maxConnections, openFiles: mayOpen },
    `at most ${left} connections, since this process may open ${mayOpen} files: raise its limit (LimitNOFILE, ulimit -n) for more`,
  )
  return left
}

/** Infinity where it is not known. https://man7.org/linux/man-pages/man5/proc_pid_limits.5.html */
export function readOpenFilesLimit(text: string): number {
  const soft = /^Max open files\s+(\d+)/m.exec(text)?.[1]
  return soft === undefined ? Infinity : Number(soft)
}

export function connectionsWithin(openFiles: number): number {
  return Math.max(openFiles - reserved, Math.floor(openFiles / 2))
}
