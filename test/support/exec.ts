import { spawn } from 'node:child_process'

export interface ExecOptions {
  cwd?: string
  /** On top of this process's environment; undefined takes a variable away. */
  env?: Record<string, string | undefined>
  stdin?: string | Uint8Array
  timeoutMs?: number
}

export interface ExecResult {
  /** Null where a signal ended it, which is what a timeout does. */
  code: number | null
  stdout: string
  stderr: string
}

/** Runs a command to its end. Whatever its exit code, it is the caller's to judge; throws only if it cannot be started. */
export async function exec(command: string, args: string[], options: ExecOptions = {}): Promise<ExecResult> {
  const child = spawn(command, args, {
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? 180_000,
    killSignal: 'SIGKILL',
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  const result: ExecResult = { code: null, stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (result.stdout += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (result.stderr += chunk))
  // A command that does not read its input may be gone before we have written it.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.stdin ?? '')
  const { promise, resolve, reject } = Promise.withResolvers<ExecResult>()
  child.once('error', reject)
  child.once('close', (code) => {
    resolve({ ...result, code })
  })
  return promise
}

/** Like `exec`, but rejects with the command's output unless it ends with 0. */
export async function execOk(command: string, args: string[], options: ExecOptions = {}): Promise<ExecResult> {
  const result = await exec(command, args, options)
  if (result.code === 0) return result
  const ending = result.code === null ? 'did not end in time' : `ended with ${result.code}`
  throw new Error(`${[command, ...args].join(' ')} ${ending}\n${result.stdout}${result.stderr}`)
}
