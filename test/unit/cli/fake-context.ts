import { PassThrough, Writable } from 'node:stream'
import type { CommandContext } from '../../../src/cli/command.ts'
import { Output } from '../../../src/cli/output.ts'
import { readEnvironment } from '../../../src/config/environment.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import { FakeClock } from '../../support/clock.ts'

export interface FakeOptions {
  json?: boolean
  /** stdin and stderr are a terminal. */
  terminal?: boolean
  /** stdout is a terminal of this width. */
  columns?: number
  env?: Record<string, string>
  cwd?: string
}

export interface FakeContext extends CommandContext {
  clock: FakeClock
  stdin: PassThrough
  stdout: () => string
  shown: () => string
  /** What raw mode was set to. */
  raw: boolean[]
  stop: AbortController
}

/** A process that is none: what a command prints is kept, time stands still, and the environment is what is given. */
export function createContext({
  json = false,
  terminal = false,
  columns,
  env = {},
  cwd = '/',
}: FakeOptions = {}): FakeContext {
  const [stdout, stderr] = [collector(), collector()]
  const stdin = new PassThrough()
  const raw: boolean[] = []
  if (terminal) Object.assign(stdin, { isTTY: true, setRawMode: (on: boolean) => raw.push(on) })
  const stop = new AbortController()
  return {
    output: new Output({ stdout: stdout.stream, stderr: stderr.stream, json, color: false, terminal, columns }),
    environment: readEnvironment(env),
    clock: new FakeClock(),
    redactor: new Redactor(),
    cwd,
    stdin,
    stderr: stderr.stream,
    signal: stop.signal,
    onHangup: () => () => undefined,
    stdout: stdout.text,
    shown: stderr.text,
    raw,
    stop,
  }
}

/** A stream that keeps what is written to it. */
export function collector() {
  let text = ''
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      done()
    },
  })
  return { stream, text: () => text }
}
