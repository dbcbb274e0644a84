import { createInterface } from 'node:readline/promises'
import { ConfigError, LongshoreError } from '../lib/errors.ts'
import type { CommandContext } from './command.ts'

const maxPasswordBytes = 64 * 1024
const [ctrlC, ctrlD, backspace, erase] = ['\u0003', '\u0004', '\b', '\u007f'] as const

type Asking = Pick<CommandContext, 'output' | 'stdin' | 'stderr' | 'signal'>
type Terminal = NodeJS.ReadStream

export function isTerminal(stdin: NodeJS.ReadableStream): stdin is Terminal {
  return 'isTTY' in stdin && stdin.isTTY === true && 'setRawMode' in stdin
}

/** All of stdin without the line end that `echo` and editors leave. Throws ConfigError when there is nothing. */
export async function readPasswordFromStdin({ stdin, signal }: Asking): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stdin) {
    signal.throwIfAborted()
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    size += bytes.length
    if (size > maxPasswordBytes) throw unusable(`there are more than ${maxPasswordBytes} bytes on stdin`)
    chunks.push(bytes)
  }
  const password = Buffer.concat(chunks)
    .toString('utf8')
    .replace(/[\r\n]+$/, '')
  if (password === '') throw unusable('there is none on stdin')
  return password
}

/** A line typed by a person, seen while it is typed. */
export async function ask({ stdin, stderr, signal }: Asking, question: string): Promise<string> {
  const lines = createInterface({ input: stdin, output: stderr, terminal: true })
  try {
    return (await lines.question(question, { signal })).trim()
  } finally {
    lines.close()
  }
}

/** A line typed by a person of which nothing is shown, not even its length. */
export async function askHidden(asking: Asking, question: string): Promise<string> {
  const { stdin, output, signal } = asking
  if (!isTerminal(stdin)) throw unusable('stdin is no terminal to ask on')
  output.ask(question)
  stdin.setRawMode(true)
  stdin.resume()
  try {
    const password = await readHiddenLine(stdin, signal)
    if (password === '') throw unusable('none was typed')
    return password
  } finally {
    stdin.setRawMode(false)
    stdin.pause()
    output.note('')
  }
}

function readHiddenLine(stdin: Terminal, signal: AbortSignal): Promise<string> {
  const decoder = new TextDecoder()
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let line: string[] = []
  const onData = (chunk: Buffer | string) => {
    for (const key of typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })) {
      if (key === '\r' || key === '\n' || key === ctrlD) return resolve(line.join(''))
      if (key === ctrlC) return reject(new LongshoreError('interrupted', 'interrupted: nothing was stored'))
      if (key === backspace || key === erase) line = line.slice(0, -1)
      else if (key >= ' ') line.push(key)
    }
  }
  const onEnd = () => resolve(line.join(''))
  const onAbort = () => reject(signal.reason as Error)
  stdin.on('data', onData).once('end', onEnd)
  signal.addEventListener('abort', onAbort, { once: true })
  return promise.finally(() => {
    stdin.off('data', onData).off('end', onEnd)
    signal.removeEventListener('abort', onAbort)
  })
}

function unusable(why: string): ConfigError {
  return new ConfigError(`no password: ${why}`, {
    code: 'no_password',
    hint: 'Type it when asked, on a terminal, or pipe it in: `longshore login HOST -u NAME --password-stdin < FILE`.',
  })
}
