import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { inspect } from 'node:util'
import { ConfigError } from './errors.ts'
import type { Redactor } from './redact.ts'

const maxBytes = 64 * 1024
const mask = '***'

/** The text itself, or the absolute path of the file that holds it. */
export type SecretSource = string | { file: string }

/** A password, token or key from the config. However it is printed, only `***` is seen. */
export class Secret {
  readonly #file: string | undefined
  #text: string | undefined
  #version: string | undefined
  #redactor: Redactor | undefined

  constructor(source: SecretSource) {
    if (typeof source === 'string') this.#text = source
    else this.#file = source.file
  }

  /** What it was made from. */
  get source(): SecretSource {
    return this.#file === undefined ? this.current() : { file: this.#file }
  }

  /** From now on the redactor learns every text that this secret has. */
  introduce(redactor: Redactor): void {
    this.#redactor = redactor
    if (this.#text !== undefined) redactor.add(this.#text)
  }

  /** Looks whether the file it comes from has changed, and reads it again if so. Throws ConfigError when it cannot be read. */
  async read(): Promise<string> {
    if (this.#file !== undefined) await this.#refresh(this.#file)
    return this.current()
  }

  /** Whether it comes from text, or its file has been read. */
  isKnown(): boolean {
    return this.#text !== undefined
  }

  /** What was read last; no I/O. Throws ConfigError when nothing was read yet. */
  current(): string {
    if (this.#text === undefined) throw new ConfigError(`secret file ${this.#file} has not been read yet`)
    return this.#text
  }

  /** Differs when the config says something else: another text, another file. Not when the file's content changes. */
  fingerprint(): string {
    const source = this.#file === undefined ? `text:${this.#text}` : `file:${this.#file}`
    return createHash('sha256').update(source).digest('hex')
  }

  toString(): string {
    return mask
  }

  toJSON(): string {
    return mask
  }

  [inspect.custom](): string {
    return mask
  }

  async #refresh(file: string): Promise<void> {
    try {
      const { mtimeMs, ctimeMs, size, ino } = await stat(file)
      const version = [mtimeMs, ctimeMs, size, ino].join(' ')
      if (version === this.#version) return
      if (size > maxBytes) throw new Error('it is larger than 64 KiB')
      const text = (await readFile(file, 'utf8')).replace(/[\r\n]+$/, '')
      if (text === '') throw new Error('it is empty')
      this.#text = text
      this.#version = version
      this.#redactor?.add(text)
    } catch (error) {
      throw new ConfigError(`cannot read the secret in ${file}: ${reasonOf(error)}`, {
        code: 'unreadable_secret',
        cause: error,
      })
    }
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'EACCES') return 'permission denied'
  if (code === 'EISDIR') return 'it is a folder'
  return message
}
