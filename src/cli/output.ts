import { formatDuration, formatSize } from '../lib/units.ts'
import { alignColumns } from './format.ts'

export interface OutputOptions {
  stdout: NodeJS.WritableStream
  stderr: NodeJS.WritableStream
  /** One JSON document on stdout instead of lines for a person. */
  json: boolean
  color: boolean
  /** stderr is a terminal: progress may be drawn. */
  terminal: boolean
  /** Width of stdout where it is a terminal. */
  columns?: number | undefined
}

export interface Progress {
  /** `done` and `total` in bytes; `total` undefined where nobody knows. */
  update(done: number, total?: number): void
  end(): void
}

const quietMs = 500
const redrawMs = 100

/** The only place that prints. Results go to stdout, everything else to stderr. */
export class Output {
  readonly #options: OutputOptions

  constructor(options: OutputOptions) {
    this.#options = options
  }

  get json(): boolean {
    return this.#options.json
  }

  /** Whether anybody sees progress. */
  get drawsProgress(): boolean {
    return this.#options.terminal
  }

  /** How wide a line of a result may be; undefined where stdout is no terminal. */
  get columns(): number | undefined {
    return this.#options.columns
  }

  /** A command's result: `document` with `--json`, else `lines`. */
  result(document: unknown, lines: string | readonly string[]): void {
    const text = this.#options.json
      ? JSON.stringify(document, undefined, 2)
      : typeof lines === 'string'
        ? lines
        : lines.join('\n')
    if (text !== '') this.#options.stdout.write(`${text}\n`)
  }

  /** A line of a result that never ends (`--watch`): one JSON document per line with `--json`. */
  item(document: unknown, line: string): void {
    this.#options.stdout.write(`${this.#options.json ? JSON.stringify(document) : line}\n`)
  }

  note(message: string): void {
    this.#options.stderr.write(`${message}\n`)
  }

  warn(message: string): void {
    this.note(`${this.paint('33', 'warning:')} ${message}`)
  }

  error(message: string): void {
    this.note(`${this.paint('31', 'error:')} ${message}`)
  }

  /** A question whose answer is typed on the same line. */
  ask(question: string): void {
    this.#options.stderr.write(question)
  }

  paint(code: string, text: string): string {
    return this.#options.color ? `\u001b[${code}m${text}\u001b[0m` : text
  }

  /** As `paint`, for lines of a result. */
  paintResult(code: string, text: string): string {
    return this.#options.columns === undefined ? text : this.paint(code, text)
  }

  /** Columns aligned; the first row is the heading. */
  table(rows: readonly (readonly string[])[]): string[] {
    return alignColumns(rows)
  }

  /** Bytes, rate and time left on one line of a terminal, once it takes longer than half a second. */
  progress(label: string): Progress {
    if (!this.#options.terminal) return { update: () => undefined, end: () => undefined }
    const started = performance.now()
    let drawn = 0
    return {
      update: (done, total) => {
        const now = performance.now()
        if (now - started < quietMs || now - drawn < redrawMs) return
        drawn = now
        this.#options.stderr.write(`\r\u001b[K${label}  ${describeProgress(done, total, now - started)}`)
      },
      end: () => {
        if (drawn > 0) this.#options.stderr.write('\r\u001b[K')
      },
    }
  }
}

/** `1.5 MiB of 3 MiB, 750 KiB/s, 2s left`. */
export function describeProgress(done: number, total: number | undefined, elapsedMs: number): string {
  const perSecond = Math.round((done / elapsedMs) * 1000)
  const parts = [total === undefined ? formatSize(done) : `${formatSize(done)} of ${formatSize(total)}`]
  parts.push(`${formatSize(perSecond)}/s`)
  if (total !== undefined && perSecond > 0) parts.push(`${formatDuration(((total - done) / perSecond) * 1000)} left`)
  return parts.join(', ')
}
