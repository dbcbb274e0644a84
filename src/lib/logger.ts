import { pino, type Logger as PinoLogger } from 'pino'
import pretty from 'pino-pretty'
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
  const write = (line: string) => void options.stream.write(options.redactor.redact(line))
  const sink = options.pretty
    ? pretty({
        colorize: 'isTTY' in options.stream && Boolean(options.stream.isTTY),
        ignore: 'pid,hostname',
        translateTime: 'SYS:HH:MM:ss',
        destination: { write } as unknown as NodeJS.WritableStream,
        sync: true,
      })
    : { write }
  return pino({ level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, sink)
}

export const silentLogger: Logger = pino({ level: 'silent' })
