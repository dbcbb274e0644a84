import type { Logger as PinoLogger, pino as Pino } from 'pino'
import type pretty from 'pino-pretty'
import { loadPackage } from './load.ts'
import type { Redactor } from './redact.ts'

export type Logger = Pick<PinoLogger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'level'> & {
  /** A logger whose every line carries these, such as `{ bundle: 'authz' }`. */
  child(fields: Record<string, unknown>): Logger
}

export interface LoggerOptions {
  level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'
  /** Lines for a person rather than JSON. */
  pretty: boolean
  redactor: Redactor
  /** Where lines go; the process's stderr in `app.ts`. */
  stream: NodeJS.WritableStream
}

/** JSON lines, or readable ones on a terminal; every line passes the redactor. */
export function createLogger(options: LoggerOptions): Logger {
  const format = options.pretty ? loadPretty(options.stream) : (line: string) => line
  // Before it is made readable: JSON has one way to write each character of a secret, a terminal has several.
  const write = (line: string) => void options.stream.write(format(options.redactor.redact(line)))
  const { pino } = loadPackage('pino') as { pino: typeof Pino }
  return pino({ level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, { write })
}

/** A daemon that writes JSON needs none of it. */
function loadPretty(stream: NodeJS.WritableStream): (line: string) => string {
  const { prettyFactory } = loadPackage('pino-pretty') as typeof pretty
  return prettyFactory({
    colorize: 'isTTY' in stream && Boolean(stream.isTTY),
    ignore: 'pid,hostname',
    singleLine: true,
    translateTime: 'SYS:HH:MM:ss',
  })
}

const nothing = () => undefined

/** For whom nobody reads: a command that logs nothing loads no logger either. */
export const silentLogger: Logger = {
  level: 'silent',
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLogger,
}
