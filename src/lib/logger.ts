import type { Logger as PinoLogger, pino as Pino } from 'pino'
import type pretty from 'pino-pretty'
import { LongshoreError } from './errors.ts'
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
  const err = (error: unknown) =>
    error instanceof LongshoreError ? describe(error) : pino.stdSerializers.err(error as Error)
  const timestamp = pino.stdTimeFunctions.isoTime
  return pino({ level: options.level, base: null, timestamp, serializers: { err } }, { write })
}

/** What was foreseen says all in its words: where in the code it came up helps nobody, and there may be thousands of such lines. */
function describe(error: LongshoreError): Record<string, unknown> {
  const { name: type, code, message, hint, cause } = error
  const why = cause instanceof Error && !message.includes(cause.message) && { cause: cause.message }
  return { type, code, message, ...(hint !== undefined && { hint }), ...why }
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
