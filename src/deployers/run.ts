import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { FinalError, LongshoreError } from '../lib/errors.ts'
import type { Redactor } from '../lib/redact.ts'
import { formatDuration } from '../lib/units.ts'

const maxOutputChars = 2000
/** More than is shown, by the longest secret: none is cut in two before it can be told. */
const maxHeldChars = 80 * 1024
/** Between being asked to end and being ended. */
const endGraceMs = 2000
/** What it wrote last may come after its end. */
const outputGraceMs = 500
const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface CommandOptions {
  cwd: string
  /** All that it gets, besides PATH: our own environment may hold secrets. */
  env: Record<string, string>
  timeoutMs: number
  /** Exit statuses by which it says that running it again would not help. */
  giveUp?: readonly number[]
  /** What the program writes may hold secrets: it was given some. */
  redactor: Pick<Redactor, 'redact'>
  signal: AbortSignal
}

/**
 * Runs the program to its end, and returns the end of what it wrote. Throws LongshoreError `command_failed`, with that, or FinalError. The
 * program and all that it has started are ended when time is up, or `signal` says so.
 */
export async function runCommand(argv: readonly string[], options: CommandOptions): Promise<string> {
  const { timeoutMs, giveUp = [], redactor, signal } = options
  const [program = ''] = argv
  signal.throwIfAborted()
  const child = start(argv, options)
  const output = collect(child)
  const said = () => redactor.redact(output.text).trim().slice(-maxOutputChars)
  const failed = (why: string, cause?: unknown) => {
    const more = said()
    return new LongshoreError('command_failed', `${program} ${why}${more === '' ? '' : `: ${more}`}`, { cause })
  }
  const late = AbortSignal.timeout(timeoutMs)
  const stopped = AbortSignal.any([signal, late])
  let timer: NodeJS.Timeout | undefined
  const stop = () => {
    end(child, 'SIGTERM')
    timer = setTimeout(() => end(child, 'SIGKILL'), endGraceMs)
  }
  stopped.addEventListener('abort', stop, { once: true })
  try {
    const { code, by } = await ended(child).catch((error: NodeJS.ErrnoException) => {
      throw failed(`cannot be run: ${whyNotRun(error, program, options)}`, error)
    })
    await Promise.race([output.closed, sleep(outputGraceMs, undefined, { ref: false })])
    signal.throwIfAborted()
    if (late.aborted) throw failed(`took longer than ${formatDuration(timeoutMs)}`)
    if (code !== null && giveUp.includes(code)) throw new FinalError(failed(`ended with ${code}`).message)
    if (code !== 0) throw failed(by === null ? `ended with ${code}` : `was ended by ${by}`)
    return said()
  } finally {
    stopped.removeEventListener('abort', stop)
    clearTimeout(timer)
    // What it left behind ends with it.
    if (stopped.aborted) end(child, 'SIGKILL')
    child.stdout?.destroy()
    child.stderr?.destroy()
  }
}

function start([program = '', ...args]: readonly string[], { cwd, env }: CommandOptions): ChildProcess {
  try {
    // In a group of its own, so that what it has started ends with it.
    return spawn(program, args, {
      cwd,
      env: { PATH: searchPath, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
  } catch {
    // Node's own words would show the value, which may be a secret.
    throw new LongshoreError('command_failed', `${program} cannot be run: an argument or a variable holds a NUL`)
  }
}

/** Of a program and of its folder the system says the same where they are missing. */
function whyNotRun({ code, message }: NodeJS.ErrnoException, program: string, { cwd, env }: CommandOptions): string {
  if (code === 'EACCES') return 'it may not be run: it is no program, or the user that longshore runs as may not run it'
  if (code !== 'ENOENT') return message
  if (!existsSync(cwd)) return `there is no folder ${cwd} to run it in`
  if (program.includes('/')) return 'there is no such file, or not the interpreter that its first line names'
  return `there is no such program in ${env.PATH ?? searchPath}: write its whole path`
}

function collect(child: ChildProcess): { text: string; closed: Promise<void> } {
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  const output = { text: '', closed }
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      output.text = (output.text + chunk).slice(-maxHeldChars)
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

function end({ pid }: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal)
  } catch {
    // It ended by itself just now.
  }
}
