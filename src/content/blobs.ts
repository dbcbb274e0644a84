import { opendir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import { IntegrityError } from '../lib/errors.ts'
import { algorithmOf, isDigest, type Algorithm, type Digest } from '../oci/digest.ts'
import type { Budget } from './budget.ts'
import { CheckedReads } from './checked.ts'
import { Claims } from './claims.ts'
import type { BlobInfo, RecordBlob, StoredBlob } from './content.ts'
import { isMissing, onDisk } from './errors.ts'
import { makeFolder, type FileSteps } from './files.ts'
import { damaged, gone, hashChunks, readFileChunks } from './reader.ts'
import type { HashingFile } from './writer.ts'

const algorithms: Algorithm[] = ['sha256', 'sha512']

/** `blobs/<alg>/<hex>` as the OCI image layout has it; what is in it is complete and verified. */
export class BlobFolder {
  readonly #root: string
  readonly #steps: FileSteps
  readonly #claims = new Claims()
  readonly checked: CheckedReads
  /** Whose files these are, where there is a quota. */
  budget: Budget | undefined

  constructor(root: string, steps: FileSteps, clock: Clock) {
    this.#root = root
    this.#steps = steps
    this.checked = new CheckedReads((digest) => this.path(digest), clock)
  }

  async prepare(): Promise<void> {
    for (const algorithm of algorithms) await makeFolder(this.#folder(algorithm))
  }

  path(digest: Digest): string {
    return join(this.#folder(algorithmOf(digest)), digest.slice(digest.indexOf(':') + 1))
  }

  #folder(algorithm: Algorithm): string {
    return join(this.#root, 'blobs', algorithm)
  }

  async stat(digest: Digest): Promise<BlobInfo | undefined> {
    const stored = await this.#stored(digest)
    return stored && { digest, size: stored.size }
  }

  async #stored(digest: Digest): Promise<StoredBlob | undefined> {
    const path = this.path(digest)
    return onDisk({ what: 'looking for a blob', path }, async () => {
      try {
        const { size, mtimeMs, ctimeMs } = await stat(path)
        // A rename or a link counts: what was put here by hand may be older than it looks.
        return { digest, size, changedAt: Math.max(mtimeMs, ctimeMs) }
      } catch (error) {
        if (isMissing(error)) return undefined
        throw error
      }
    })
  }

  /** Gives the verified file its name, and has it written down. Once this resolves, the blob survives a loss of power. */
  keep(file: HashingFile, info: BlobInfo, record: RecordBlob | undefined): Promise<void> {
    return this.#claims.store(info.digest, async () => {
      await this.#store(file, info)
      await record?.(info)
    })
  }

  async #store(file: HashingFile, info: BlobInfo): Promise<void> {
    const path = this.path(info.digest)
    const attempt = { what: `storing blob ${info.digest}`, path }
    const before = await this.stat(info.digest)
    // What has other bytes than its name says is replaced.
    if (before?.size === info.size && (await this.checked.isRight(info.digest))) {
      await file.close()
      await onDisk(attempt, () => this.#steps.remove(file.path))
      file.goes()
    } else {
      await file.seal()
      await onDisk(attempt, () => this.#steps.rename(file.path, path))
      await this.checked.stored(info.digest)
      file.stays()
      if (before !== undefined) this.budget?.giveBack(before.size)
    }
    // In both cases: the one that was there may have been renamed by another ingest that has not come here yet.
    await onDisk(attempt, () => this.#steps.syncFolder(this.#folder(algorithmOf(info.digest))))
  }

  /** All of it in memory, once, and verified. */
  async bytes(digest: Digest, maxBytes: number): Promise<Buffer> {
    const path = this.path(digest)
    const info = await this.stat(digest)
    if (info === undefined) throw gone(path)
    if (info.size > maxBytes) throw tooBig(digest, maxBytes)
    const bytes = Buffer.allocUnsafeSlow(info.size)
    let size = 0
    async function* filling() {
      for await (const chunk of readFileChunks(path)) {
        if (size + chunk.byteLength > info!.size) throw damaged(path)
        bytes.set(chunk, size)
        size += chunk.byteLength
        yield chunk
      }
    }
    if ((await hashChunks(filling(), algorithmOf(digest))) !== digest) throw damaged(path)
    return bytes
  }

  remove(digest: Digest, confirm?: () => Promise<boolean>): Promise<boolean> {
    const path = this.path(digest)
    return this.#claims.remove(digest, async () => {
      if (confirm !== undefined && !(await confirm())) return false
      const stored = await this.stat(digest)
      await onDisk({ what: `removing blob ${digest}`, path }, () => this.#steps.remove(path))
      if (stored !== undefined) this.budget?.giveBack(stored.size)
      return true
    })
  }

  async *list(): AsyncIterable<StoredBlob> {
    for (const algorithm of algorithms) {
      for await (const entry of await opendir(this.#folder(algorithm), { bufferSize: 256 })) {
        const digest = `${algorithm}:${entry.name}`
        // Whatever else lies there is not ours.
        const blob = isDigest(digest) ? await this.#stored(digest) : undefined
        if (blob !== undefined) yield blob
      }
    }
  }
}

function tooBig(digest: Digest, maxBytes: number): IntegrityError {
  return new IntegrityError('size_mismatch', `blob ${digest} has more than the ${maxBytes} bytes that are allowed`)
}
