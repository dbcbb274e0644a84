import { spawn, type ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { LongshoreError } from '../../lib/errors.ts'
import { formatDuration } from '../../lib/units.ts'

const maxOutputChars = 2000
/** What it wrote last may come after its end. */
const outputGraceMs = 500
const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface CommandOptions {
  cwd: string
  /** All that it gets, besides PATH: our own environment may hold secrets. */
  env: Record<string, string>
  timeoutMs: number
  signal: AbortSignal
}

/** Runs the program to its end. Throws LongshoreError `command_failed`, with the end of what it wrote. */
export async function runCommand(argv: readonly string[], options: CommandOptions): Promise<void> {
  const { cwd, env, timeoutMs, signal } = options
  const [program = '', ...args] = argv
  signal.throwIfAborted()
  // In a group of its own, so that what it has started ends with it.
  const child = spawn(program, args, {
    cwd,
    env: { PATH: searchPath, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const output = collect(child)
  const failed = (why: string, cause?: unknown) => {
    const said = output.text.trim()
    const more = said === '' ? '' : `: ${said.slice(-maxOutputChars)}`
    return new LongshoreError('command_failed', `${program} ${why}${more}`, { cause })
  }
  const late = AbortSignal.timeout(timeoutMs)
  const stopped = AbortSignal.any([signal, late])
  const stop = () => end(child)
  stopped.addEventListener('abort', stop, { once: true })
  try {
    const { code, by } = await ended(child).catch((error: unknown) => {
      throw failed(`cannot be run: ${(error as Error).message}`, error)
    })
    if (code !== 0) await Promise.race([output.closed, sleep(outputGraceMs, undefined, { ref: false })])
    signal.throwIfAborted()
    if (late.aborted) throw failed(`took longer than ${formatDuration(timeoutMs)}`)
    if (code !== 0) throw failed(by === null ? `ended with ${code}` : `was ended by ${by}`)
  } finally {
    stopped.removeEventListener('abort', stop)
    child.stdout?.destroy()
    child.stderr?.destroy()
  }
}

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

function collect(child: ChildProcess): { text: string; closed: Promise<void> } {
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  const output = { text: '', closed }
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      output.text = (output.text + chunk).slice(-2 * maxOutputChars)
    })
  }
  child.once('close', () => resolve())
  return output
}

/** At its end, not that of what it left running in the background. */
function ended(child: ChildProcess): Promise<{ code: number | null; by: NodeJS.Signals | null }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ code: number | null; by: NodeJS.Signals | null }>()
  child.once('exit', (code, by) => resolve({ code, by }))
  child.once('error', reject)
  return promise
}

function end({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // It ended by itself just now.
  }
}
