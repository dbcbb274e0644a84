import { IntegrityError, type RemoteError } from '../lib/errors.ts'
import { Copy, maxDepth, tooDeep } from './copying.ts'
import type { Digest } from './digest.ts'
import { parseManifest, selectPlatform } from './manifest.ts'
import type { RawManifest, Sink, Source } from './target.ts'

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
  /** Before each manifest and tag that is put at the target; throws where it is not to be. */
  beforePut?: () => Promise<void>
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
    if (tags.length > 0) await work.put(root, tags, signal)
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
