import { IntegrityError, RemoteError } from '../lib/errors.ts'
import { allOrNone, Limit } from '../lib/limit.ts'
import type { CopyOptions, CopyProgress } from './copy.ts'
import type { Digest } from './digest.ts'
import { hasSpecCode } from './errors.ts'
import { childrenOf, parseManifest, type Manifest } from './manifest.ts'
import { isImageManifest, isIndex } from './media.ts'
import type { Descriptor, RawManifest, Sink, Source } from './target.ts'

/** An index of indexes is rare, ten deep is an attack. */
export const maxDepth = 10
/** Signatures come by the dozen, not by the thousand. */
const maxReferrers = 1000
/** Of one root: ten levels of indexes with thousands of members each would never end. */
const maxManifests = 10_000
const defaultConcurrency = 3
/** In a repository that is new, what is no more than this is hardly ever there, and sent again as soon as asked for. */
const maxUnaskedBytes = 16 * 1024
/** Where cosign put signatures before there was a referrers API, and often still does. */
const cosignSuffixes = ['.sig', '.att', '.sbom']

/** One piece of work from one repository to another: what several manifests name goes once. */
export class Copy {
  /** How many manifests somebody asked for by themselves. */
  roots = 0
  /** Nothing was at the target before: what is small is not asked for there. */
  isNew = false
  readonly tally = { blobsCopied: 0, bytes: 0, mounted: 0, skipped: 0 }
  readonly #from: Source
  readonly #to: Sink
  readonly #options: CopyOptions
  readonly #limit: Limit
  /** Members of one index often share layers. */
  readonly #blobs = new Map<Digest, Promise<void>>()
  readonly #manifests = new Map<Digest, Promise<void>>()
  /** Those of them that were asked for: what only happens to be a subject brings no referrers. */
  readonly #wanted = new Set<Digest>()
  readonly #progress: CopyProgress = { bytes: 0, totalBytes: 0 }

  constructor(from: Source, to: Sink, options: CopyOptions) {
    this.#from = from
    this.#to = to
    this.#options = options
    this.#limit = new Limit(options.concurrency ?? defaultConcurrency)
  }

  manifest(raw: RawManifest, tags: readonly string[], depth: number, signal?: AbortSignal): Promise<void> {
    this.#wanted.add(raw.digest)
    return once(this.#manifests, raw.digest, () => this.#manifest(raw, tags, depth, signal))
  }

  /** A manifest under a tag: where another tag brought it already, only the tag is new. */
  async root(raw: RawManifest, tags: readonly string[], signal: AbortSignal): Promise<void> {
    const isNew = !this.#manifests.has(raw.digest)
    await this.manifest(raw, tags, 0, signal)
    if (!isNew && tags.length > 0) await this.put(raw, tags, signal)
  }

  async put(raw: RawManifest, tags: readonly string[], signal?: AbortSignal): Promise<void> {
    await this.#options.beforePut?.()
    await this.#to.putManifest(raw, tags, signal)
  }

  /** Of everything that was asked for, and of what that brings along: a set goes on while it grows. */
  async referrers(): Promise<void> {
    const { onMissedReferrers, signal } = this.#options
    const most = this.#wanted.size + maxReferrers
    for (const digest of this.#wanted) {
      if (this.#wanted.size > most) {
        throw new IntegrityError(
          'bad_manifest',
          `${this.#from.name} names more than ${maxReferrers} referrers of ${digest}`,
        )
      }
      try {
        await this.#referrersOf(digest, signal)
      } catch (error) {
        signal?.throwIfAborted()
        const isTheirs = error instanceof RemoteError || error instanceof IntegrityError
        if (onMissedReferrers === undefined || !isTheirs) throw error
        onMissedReferrers(error)
      }
    }
  }

  async #manifest(raw: RawManifest, tags: readonly string[], depth: number, signal?: AbortSignal): Promise<void> {
    if (depth > maxDepth) throw tooDeep(raw.digest)
    if (this.#manifests.size > maxManifests * Math.max(1, this.roots)) {
      throw new IntegrityError('bad_manifest', `${this.#from.name} names more than ${maxManifests} manifests`)
    }
    const manifest = parseManifest(raw)
    const members = childrenOf(manifest).filter(isManifest)
    await allOrNone(members, (member, stop) => this.#member(member, depth + 1, stop), { signal })
    await allOrNone(blobsOf(manifest), (blob, stop) => this.#blob(blob, stop), { signal })
    this.tally.skipped += childrenOf(manifest).filter(isForeign).length
    if (manifest.subject !== undefined) await this.#subject(manifest.subject.digest, depth + 1, signal)
    try {
      await this.put(raw, tags, signal)
    } catch (error) {
      if (!hasSpecCode(error, 'MANIFEST_BLOB_UNKNOWN')) throw error
      // The registry said that it has a child, and lost it, or has it elsewhere: so it gets all of them again.
      for (const member of members) await this.put(await this.#from.manifest(member.digest, signal), [], signal)
      await allOrNone(blobsOf(manifest), (blob, stop) => this.#limit.do(() => this.#send(blob, stop), stop), { signal })
      await this.put(raw, tags, signal)
    }
  }

  async #member(member: Descriptor, depth: number, signal?: AbortSignal): Promise<void> {
    const isThere = this.#options.referrers !== true && (await this.#to.head(member.digest, signal)) !== undefined
    if (!isThere) await this.manifest(await this.#from.manifest(member.digest, signal), [], depth, signal)
  }

  /** It may be missing, but clients such as OPA and oras ask for it where a manifest names one, so it comes along. */
  async #subject(digest: Digest, depth: number, signal?: AbortSignal): Promise<void> {
    if (this.#manifests.has(digest) || (await this.#to.head(digest, signal)) !== undefined) return
    if ((await this.#from.head(digest, signal)) === undefined) return
    const raw = await this.#from.manifest(digest, signal)
    await once(this.#manifests, digest, () => this.#manifest(raw, [], depth, signal))
  }

  async #referrersOf(digest: Digest, signal: AbortSignal | undefined): Promise<void> {
    for (const referrer of await this.#from.referrers(digest, signal && { signal })) {
      await this.#member(referrer, 0, signal)
    }
    for (const suffix of cosignSuffixes) {
      const tag = `${digest.replace(':', '-')}${suffix}`
      const signature = await this.#from.head(tag, signal)
      if (signature === undefined) continue
      const raw = await this.#from.manifest(signature.digest, signal)
      await this.manifest(raw, [], 0, signal)
      await this.put(raw, [tag], signal)
    }
  }

  #blob(blob: Descriptor, signal: AbortSignal): Promise<void> {
    return once(this.#blobs, blob.digest, async () => {
      this.#moved({ totalBytes: blob.size })
      await this.#limit.do(async () => {
        const unasked = this.isNew && blob.size <= maxUnaskedBytes
        if (!unasked && (await this.#to.hasBlob(blob, signal))) this.tally.skipped += 1
        else if (await this.#to.mountBlob(blob, this.#options.mountFrom ?? this.#from, signal)) this.tally.mounted += 1
        else return this.#send(blob, signal, unasked)
        this.#moved({ bytes: blob.size })
      }, signal)
    })
  }

  async #send(blob: Descriptor, signal: AbortSignal, unasked = false): Promise<void> {
    let sent = 0
    const open = () => {
      // A try that failed half-way is taken back.
      this.#moved({ bytes: -sent })
      sent = 0
      // Every sink verifies what it gets.
      return counted(this.#from.rawBlob(blob, signal), (bytes) => {
        sent += bytes
        this.#moved({ bytes })
      })
    }
    await this.#to.putBlob(blob, open, signal, { unasked }).catch((error: unknown) => {
      throw comingFrom(error, `blob ${this.#from.name}@${blob.digest}`)
    })
    this.tally.blobsCopied += 1
    this.tally.bytes += blob.size
  }

  #moved({ bytes = 0, totalBytes = 0 }: Partial<CopyProgress>): void {
    this.#progress.bytes += bytes
    this.#progress.totalBytes += totalBytes
    this.#options.onProgress?.({ ...this.#progress })
  }
}

export function tooDeep(digest: string): IntegrityError {
  return new IntegrityError('bad_manifest', `${digest} is nested more than ${maxDepth} deep`)
}

function once(done: Map<Digest, Promise<void>>, digest: Digest, run: () => Promise<void>): Promise<void> {
  const known = done.get(digest)
  if (known !== undefined) return known
  const started = run()
  done.set(digest, started)
  return started
}

/** Who takes the bytes in finds them wrong, and does not know whose they are. */
function comingFrom(error: unknown, what: string): unknown {
  const isWrong =
    error instanceof IntegrityError && (error.code === 'digest_mismatch' || error.code === 'size_mismatch')
  if (!isWrong || error.message.includes(what)) return error
  return new IntegrityError(error.code, `${what}: ${error.message}`, { cause: error })
}

async function* counted(source: AsyncIterable<Uint8Array>, count: (bytes: number) => void): AsyncIterable<Uint8Array> {
  for await (const chunk of source) {
    count(chunk.length)
    yield chunk
  }
}

function blobsOf(manifest: Manifest): Descriptor[] {
  return childrenOf(manifest).filter((child) => !isManifest(child) && !isForeign(child))
}

function isManifest({ mediaType }: Descriptor): boolean {
  return isIndex(mediaType) || isImageManifest(mediaType)
}

/** Layers that their owner hands out himself, from `urls`; registries do not hold them. */
function isForeign({ mediaType }: Descriptor): boolean {
  return mediaType.includes('.nondistributable.') || mediaType.includes('.foreign.')
}
