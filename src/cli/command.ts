import type { Command } from 'commander'
import type { Environment } from '../config/environment.ts'
import type { Clock } from '../lib/clock.ts'
import type { Redactor } from '../lib/redact.ts'
import type { Ahead } from './ahead.ts'
import type { Output } from './output.ts'

/** What a command gets from the process, so that tests can hand it something else. */
export interface CommandContext {
  output: Output
  environment: Environment
  clock: Clock
  redactor: Redactor
  cwd: string
  stdin: NodeJS.ReadableStream
  stderr: NodeJS.WritableStream
  /** Aborted on SIGINT and SIGTERM. */
  signal: AbortSignal
  /** What was started before anybody knew what else the command line says. */
  ahead?: Ahead | undefined
  /** Calls back on each SIGHUP, until the returned function is called. */
  onHangup(run: () => void): () => void
}

/** Each file of this folder that is a command exports one of these. */
export type AddCommand = (program: Command, context: CommandContext) => void
