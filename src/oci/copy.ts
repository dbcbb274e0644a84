import { IntegrityError, RemoteError } from '../lib/errors.ts'
import { allOrNone, Limit } from '../lib/limit.ts'
import type { Digest } from './digest.ts'
import { hasSpecCode } from './errors.ts'
import { childrenOf, parseManifest, selectPlatform, type Manifest } from './manifest.ts'
import { isImageManifest, isIndex } from './media.ts'
import type { Descriptor, RawManifest, Sink, Source } from './target.ts'

/** An index of indexes is rare, ten deep is an attack. */
const maxDepth = 10
/** Signatures come by the dozen, not by the thousand. */
const maxReferrers = 1000
/** Ten levels of indexes with thousands of members each would never end. */
const maxManifests = 10_000
const defaultConcurrency = 3
/** Where cosign put signatures before there was a referrers API, and often still does. */
const cosignSuffixes = ['.sig', '.att', '.sbom']

export interface CopyOptions {
  /** Each will stand for the root at the target. */
  tags?: readonly string[]
  /** Signatures and what else refers to a manifest that is copied, recursively. */
  referrers?: boolean
  /**
   * Without it a copy fails when the referrers cannot be listed or read, or are not what they should be; with it, it goes on
   * without them and calls this: whoever may add a bad one must not thereby hold up what it refers to.
   */
  onMissedReferrers?: (error: RemoteError | IntegrityError) => void
  /** Of an index only the member for `os/architecture`; it becomes the root. */
  platform?: string
  /** Another repository of the target's registry that may have the blobs, where `from` is none itself. */
  mountFrom?: Source
  /** Blobs under way at one time. */
  concurrency?: number
  onProgress?: (progress: CopyProgress) => void
  signal?: AbortSignal
}

/** Grows as manifests are read: `totalBytes` is what is known so far. */
export interface CopyProgress {
  bytes: number
  totalBytes: number
}

/** The root at the target, and what it took. */
export interface CopyResult {
  mediaType: string
  digest: Digest
  /** Bytes of the root manifest. */
  size: number
  blobsCopied: number
  /** Of the blobs that were copied. */
  bytes: number
  /** Blobs that the target's registry took from another of its repositories. */
  mounted: number
  /** Blobs that were there already, and layers that may not be distributed. */
  skipped: number
}

/**
 * Copies a manifest or index with everything it names, bytes unchanged, children before parents and the tags last of all:
 * whoever sees the tag finds the rest, signatures included. What is at the target already is not sent again.
 * Throws what the two sides throw; IntegrityError `unsupported_artifact` when an index has no member for `platform`.
 */
export async function copy(from: Source, reference: string, to: Sink, options: CopyOptions = {}): Promise<CopyResult> {
  const root = await findRoot(from, reference, options)
  const { tags = [], referrers = false, signal } = options
  const work = new Copy(from, to, options)
  await work.manifest(root, referrers ? [] : tags, 0, signal)
  if (referrers) {
    await work.referrers()
    // Only now: whoever checks signatures must not see the one without the other.
    if (tags.length > 0) await to.putManifest(root, tags, signal)
  }
  return { mediaType: root.mediaType, digest: root.digest, size: root.bytes.length, ...work.tally }
}

async function findRoot(from: Source, reference: string, options: CopyOptions, depth = 0): Promise<RawManifest> {
  const { platform, signal } = options
  if (depth > maxDepth) throw tooDeep(reference)
  const raw = await from.manifest(reference, signal)
  const manifest = parseManifest(raw)
  if (platform === undefined || manifest.kind === 'image') return raw
  const member = selectPlatform(manifest, platform)
  if (member === undefined) {
    const offered = manifest.manifests.map(({ platform: p }) => (p === undefined ? '?' : `${p.os}/${p.architecture}`))
    throw new IntegrityError(
      'unsupported_artifact',
      `the index ${raw.digest} in ${from.name} has no member for ${platform}, only for ${offered.join(', ') || 'nothing'}`,
      { hint: 'Name one of those as platform, or push an artifact for this one.' },
    )
  }
  return findRoot(from, member.digest, options, depth + 1)
}

class Copy {
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
    if (this.#manifests.size > maxManifests) {
      throw new IntegrityError('bad_manifest', `${this.#from.name} names more than ${maxManifests} manifests`)
    }
    const manifest = parseManifest(raw)
    const members = childrenOf(manifest).filter(isManifest)
    await allOrNone(members, (member, stop) => this.#member(member, depth + 1, stop), signal)
    await allOrNone(blobsOf(manifest), (blob, stop) => this.#blob(blob, stop), signal)
    this.tally.skipped += childrenOf(manifest).filter(isForeign).length
    if (manifest.subject !== undefined) await this.#subject(manifest.subject.digest, depth + 1, signal)
    try {
      await this.#to.putManifest(raw, tags, signal)
    } catch (error) {
      if (!hasSpecCode(error, 'MANIFEST_BLOB_UNKNOWN')) throw error
      // The registry said that it has a child, and lost it, or has it elsewhere: so it gets all of them again.
      for (const member of members)
        await this.#to.putManifest(await this.#from.manifest(member.digest, signal), [], signal)
      await allOrNone(blobsOf(manifest), (blob, stop) => this.#limit.do(() => this.#send(blob, stop), stop), signal)
      await this.#to.putManifest(raw, tags, signal)
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
      await this.#to.putManifest(raw, [tag], signal)
    }
  }

  #blob(blob: Descriptor, signal: AbortSignal): Promise<void> {
    return once(this.#blobs, blob.digest, async () => {
      this.#moved({ totalBytes: blob.size })
      await this.#limit.do(async () => {
        if (await this.#to.hasBlob(blob, signal)) this.tally.skipped += 1
        else if (await this.#to.mountBlob(blob, this.#options.mountFrom ?? this.#from, signal)) this.tally.mounted += 1
        else return this.#send(blob, signal)
        this.#moved({ bytes: blob.size })
      }, signal)
    })
  }

  async #send(blob: Descriptor, signal: AbortSignal): Promise<void> {
    let sent = 0
    const open = () => {
      // A try that failed half-way is taken back.
      this.#moved({ bytes: -sent })
      sent = 0
      return counted(this.#from.blob(blob, signal), (bytes) => {
        sent += bytes
        this.#moved({ bytes })
      })
    }
    await this.#to.putBlob(blob, open, signal)
    this.tally.blobsCopied += 1
    this.tally.bytes += blob.size
  }

  #moved({ bytes = 0, totalBytes = 0 }: Partial<CopyProgress>): void {
    this.#progress.bytes += bytes
    this.#progress.totalBytes += totalBytes
    this.#options.onProgress?.({ ...this.#progress })
  }
}

function tooDeep(digest: string): IntegrityError {
  return new IntegrityError('bad_manifest', `${digest} is nested more than ${maxDepth} deep`)
}

function once(done: Map<Digest, Promise<void>>, digest: Digest, run: () => Promise<void>): Promise<void> {
  const known = done.get(digest)
  if (known !== undefined) return known
  const started = run()
  done.set(digest, started)
  return started
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
