import type { Clock } from '../lib/clock.ts'
import type { Redactor } from '../lib/redact.ts'

/** Of one attempt. What comes first and what comes last is kept: how it began, and how it ended. */
const maxChars = 8 * 1024
const maxLineChars = 1024

/** What was done in one attempt, for a person: each line with the seconds since it began. */
export class AttemptLog {
  readonly #clock: Clock
  readonly #redactor: Pick<Redactor, 'redact'>
  readonly #startedAt: number
  readonly #first: string[] = []
  readonly #last: string[] = []
  #firstChars = 0
  #lastChars = 0
  #leftOut = 0

  constructor(clock: Clock, redactor: Pick<Redactor, 'redact'>) {
    this.#clock = clock
    this.#redactor = redactor
    this.#startedAt = clock.now()
  }

  /** Of what a program or a server wrote, each line by itself. */
  say(text: string): void {
    const seconds = ((this.#clock.now() - this.#startedAt) / 1000).toFixed(1)
    for (const line of this.#redactor.redact(text).split(/\r?\n/)) {
      if (line.trim() !== '')
        this.#keep(
          `${seconds} s  ${line
            .replaceAll(/[\p{Cc}\p{Cf}]+/gu, ' ')
            .trimEnd()
            .slice(0, maxLineChars)}`,
        )
    }
  }

  get lines(): string[] {
    const gap = this.#leftOut === 0 ? [] : [`… ${this.#leftOut} lines are left out …`]
    return [...this.#first, ...gap, ...this.#last]
  }

  #keep(line: string): void {
    if (this.#last.length === 0 && this.#firstChars + line.length <= maxChars / 2) {
      this.#first.push(line)
      this.#firstChars += line.length
      return
    }
    this.#last.push(line)
    this.#lastChars += line.length
    while (this.#lastChars > maxChars / 2) {
      this.#lastChars -= this.#last.shift()!.length
      this.#leftOut++
    }
  }
}
