import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isMissing } from '../content/errors.ts'
import type { Clock } from '../lib/clock.ts'
import { diskReason } from '../lib/disk.ts'
import type { Logger } from '../lib/logger.ts'
import type { Metrics } from '../lib/metrics.ts'

export const everyMs = 5_000
/** A disk may be slow. */
export const patienceMs = 30_000

export interface FolderWatchOptions {
  /** The content's. */
  folder: string
  /** Whether the state is in it too. */
  hasState: boolean
  clock: Pick<Clock, 'after'>
  logger: Logger
  metrics: Pick<Metrics, 'setFolderLost'>
  /** A file's number, undefined where it is missing; a test may put its own. */
  numberOf?: (path: string) => Promise<number | undefined>
}

export interface FolderWatch {
  /** What is wrong, without the machine's paths; empty while nothing is. Asks no disk: that may take for ever. */
  warnings(): string[]
  stop(): void
}

/**
 * Notices that the folder was removed, replaced (by the empty one below a mount, for one) or does not answer any more, as a network's
 * may not. Throws where it cannot be read at the start.
 */
export async function watchFolder(options: FolderWatchOptions): Promise<FolderWatch> {
  const { folder, hasState, clock, logger, metrics, numberOf = inodeOf } = options
  const names = ['id', 'blobs', ...(hasState ? ['state.db', 'state.db-wal'] : [])]
  const numbers = () => Promise.all(names.map((name) => numberOf(join(folder, name))))
  const first = await numbers()
  let trouble: string | null = null
  let waitedMs: number | undefined
  let cancel = clock.after(everyMs, look)

  function look(): void {
    cancel = clock.after(everyMs, look)
    // One that hangs holds a thread: there is never a second one.
    if (waitedMs !== undefined) {
      waitedMs += everyMs
      return waitedMs < patienceMs ? undefined : found('it does not answer')
    }
    waitedMs = 0
    void difference().then((why) => {
      waitedMs = undefined
      found(why)
    })
  }

  async function difference(): Promise<string | null> {
    try {
      const now = await numbers()
      return now.every((number, index) => number === first[index])
        ? null
        : 'it, or something in it, was removed or replaced'
    } catch (error) {
      return diskReason(error).why
    }
  }

  function found(why: string | null): void {
    const was = trouble
    trouble =
      why === null ? null : `the content folder is lost: ${why}. What is in memory is served, nothing can be kept`
    if (trouble === was) return
    metrics.setFolderLost(trouble !== null)
    if (trouble === null) return logger.info({ path: folder }, 'the content folder is back as it was: all goes on')
    const hint = 'Put it back as it was (mount it again), and all goes on. Else stop longshore and restore a backup.'
    logger.error({ path: folder }, `${trouble}. ${hint}`)
  }

  return {
    warnings: () => (trouble === null ? [] : [trouble]),
    stop: () => {
      cancel()
    },
  }
}

async function inodeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).ino
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
