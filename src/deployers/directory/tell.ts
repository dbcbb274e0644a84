import { readFile } from 'node:fs/promises'
import { LongshoreError } from '../../lib/errors.ts'

/** Throws LongshoreError `signal_failed` where nobody is there to get it. */
export async function sendSignal(name: string, pidFile: string): Promise<void> {
  const failed = (why: string, cause?: unknown) =>
    new LongshoreError('signal_failed', `cannot send ${name} to the process of ${pidFile}: ${why}`, { cause })
  const text = await readFile(pidFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw failed(error.code === 'ENOENT' ? 'there is no such file' : error.message, error)
  })
  const pid = /^\s*(\d{1,9})\s*$/.exec(text)?.[1]
  if (pid === undefined || Number(pid) < 2) throw failed('it does not hold the number of a process')
  try {
    process.kill(Number(pid), `SIG${name}`)
  } catch (error) {
    throw failed(
      (error as NodeJS.ErrnoException).code === 'ESRCH' ? `there is no process ${pid}` : String(error),
      error,
    )
  }
}
