import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from './wait.ts'

export interface StartOptions {
  command: string
  args?: string[]
  /** What logs and errors call it; the command by default. */
  name?: string
  cwd?: string
  /** On top of this process's environment; undefined takes a variable away. */
  env?: Record<string, string | undefined>
  /** Asked until it answers true; an error is "not yet". */
  ready: () => boolean | Promise<boolean>
  readyTimeoutMs?: number
}

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface RunningProcess {
  pid: number
  name: string
  /** Settles once its output is complete, too. */
  exited: Promise<Exit>
  /** The end of what it wrote to stdout and stderr, in the order of arrival. */
  output(): string
  /** SIGTERM, then SIGKILL after the bound; settles once it is gone. Safe to call again. */
  stop(options?: { signal?: NodeJS.Signals; timeoutMs?: number }): Promise<void>
  /** As a crash would: SIGKILL. */
  kill(): Promise<void>
}

const maxOutputChars = 1024 * 1024
const running = new Set<RunningProcess>()
const endedSinceReport = new Set<RunningProcess>()

/** Starts a server and settles when it is ready; rejects with its output when it ends early or takes too long. */
export async function startProcess(options: StartOptions): Promise<RunningProcess> {
  const started = launch(options)
  const gone = new AbortController()
  void started.exited.then(({ code, signal }) => {
    gone.abort(new Error(`${started.name} ended by itself (${signal ?? `exit code ${code}`})`))
  })
  try {
    const { readyTimeoutMs: timeoutMs } = options
    const wait = { signal: gone.signal, ...(timeoutMs !== undefined && { timeoutMs }) }
    await waitFor(`${started.name} to be ready`, options.ready, wait)
    return started
  } catch (error) {
    await started.kill()
    throw new Error(`${started.name} did not start: ${(error as Error).message}\n${started.output()}`, { cause: error })
  }
}

function launch({ command, args = [], name = command, cwd, env }: StartOptions): RunningProcess {
  const child = spawn(...boundToUs(command, args), {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  })
  const output = collectOutput(child)
  const exited = waitForExit(child, output)
  const handle: RunningProcess = {
    pid: child.pid ?? -1,
    name,
    exited,
    output: () => output.text,
    stop: async ({ signal = 'SIGTERM', timeoutMs = 5_000 } = {}) => {
      child.kill(signal)
      const bound = new AbortController()
      await Promise.race([exited, sleep(timeoutMs, undefined, { signal: bound.signal }).catch(() => undefined)])
      bound.abort()
      await handle.kill()
    },
    kill: async () => {
      child.kill('SIGKILL')
      await exited
    },
  }
  running.add(handle)
  void exited.then(() => {
    running.delete(handle)
    endedSinceReport.add(handle)
  })
  return handle
}

/** The kernel ends the child with us, even when we are killed; elsewhere than on Linux an exit handler has to do. */
function boundToUs(command: string, args: string[]): [string, string[]] {
  if (!existsSync('/usr/bin/setpriv')) return [command, args]
  return ['/usr/bin/setpriv', ['--pdeathsig', 'KILL', '--', command, ...args]]
}

function collectOutput(child: ChildProcess): { text: string } {
  const output = { text: '' }
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      output.text += chunk
      // Cut seldom: each cut copies all of it, and a registry under load writes a line for each request.
      if (output.text.length > 2 * maxOutputChars) output.text = output.text.slice(-maxOutputChars)
    })
  }
  return output
}

/** What it wrote last may be read after its end is known; but one that it started may keep its output open for longer. */
const lingerMs = 1_000

function waitForExit(child: ChildProcess, output: { text: string }): Promise<Exit> {
  const { promise, resolve } = Promise.withResolvers<Exit>()
  child.once('exit', (code, signal) => {
    const linger = setTimeout(() => resolve({ code, signal }), lingerMs)
    child.once('close', () => {
      clearTimeout(linger)
      resolve({ code, signal })
    })
  })
  child.once('error', (error) => {
    output.text += `${error.message}\n`
    if (child.pid === undefined) resolve({ code: null, signal: null })
  })
  return promise
}

/** What processes wrote that run, or ended since the last call of `forgetEnded`: for a failure's report. */
export function processLogs(maxCharsEach = 4_000): string {
  return [...endedSinceReport, ...running]
    .filter((one) => one.output() !== '')
    .map((one) => `--- output of ${one.name} (pid ${one.pid}) ---\n${one.output().slice(-maxCharsEach)}`)
    .join('\n')
}

export function forgetEnded(): void {
  endedSinceReport.clear()
}

export async function stopAllProcesses(): Promise<void> {
  await Promise.all([...running].map((one) => one.stop({ timeoutMs: 1_000 })))
}

process.on('exit', () => {
  for (const { pid } of running) if (pid > 0) process.kill(pid, 'SIGKILL')
})
