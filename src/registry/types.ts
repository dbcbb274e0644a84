import type { ByteRange } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import type { Descriptor, RawManifest, Sink } from '../oci/target.ts'

/** Somebody changed a repository: a tag or an untagged manifest came or went. */
export interface RepositoryChange {
  repository: string
  action: 'push' | 'delete'
  tag: string | null
  digest: Digest
}

/** The built-in registry without HTTP: catalog and content together. */
export interface Registry {
  /** The name is valid by the specification's grammar; nothing is created until something is written. */
  repository(name: string): LocalRepository
  repositories(page: { after?: string; limit: number }): Promise<string[]>
  hasRepository(name: string): Promise<boolean>
  /** Called after a change is durable. Returns how to stop listening. */
  onChange(listener: (change: RepositoryChange) => void): () => void
  uploads: Uploads
  /**
   * Something is under way that will name what is in this repository: nothing that was used since shortly before now is
   * collected there. Returns how to say that it is over.
   */
  hold(repository: string): () => void
  /** Collected may be what was last used before this moment. Milliseconds since the epoch. */
  quietBefore(repository: string): number
  /** Its file is gone: what memory holds of it is of no use. */
  forget(digest: Digest): void
  /** Looks soon for repositories whose catalog changed by other means than this registry (a release's tags), and writes their indexes. */
  refreshIndexes(): void
  /**
   * Takes a blob away whose bytes are not what its name says, from memory too, so that it can come again. It is read once more
   * for that. False when it was found right.
   */
  discard(digest: Digest): Promise<boolean>
  /** Writes the indexes that are due, ends uploads. */
  close(): Promise<void>
}

/** Bounds, each with its unit. */
export interface RegistryLimits {
  /** Uploads at a time: sessions, and whole blobs in one request. */
  maxUploads: number
  /** An upload that nobody touches for so long is dropped. */
  uploadIdleMs: number
  /** Manifests and small blobs held in memory, together. */
  contentCacheBytes: number
  /** A larger blob is read from disk for each request. */
  cachedBlobBytes: number
  /** From a change to the index on disk; longer where writing takes long. */
  indexDelayMs: number
  /** What was used this recently is not collected. */
  graceMs: number
}

/** `head`, `manifest` take a tag or a digest; a manifest whose references are missing is refused with IntegrityError `bad_manifest`. */
export interface LocalRepository extends Sink {
  readonly repositoryName: string
  /** Size, when this repository has the blob; refreshes its used-at. */
  statBlob(digest: Digest): Promise<{ size: number } | undefined>
  /** The bytes as stored, for serving; the caller has checked `statBlob`. */
  readBlob(digest: Digest, range?: ByteRange): AsyncIterable<Uint8Array>
  /** All bytes of a small blob that somebody has read before, from memory; the caller has checked `statBlob`. */
  heldBlob(digest: Digest): Uint8Array | undefined
  /** All bytes, verified, which are held from then on; undefined for a blob that is not small. The caller has checked `statBlob`. */
  smallBlob(blob: { digest: Digest; size: number }): Promise<Uint8Array | undefined>
  /** A local file with the blob's bytes, for other threads. */
  blobFile(digest: Digest): Promise<string>
  /** Ingests, verifies, and makes it visible in this repository. */
  ingestBlob(
    source: AsyncIterable<Uint8Array>,
    options: { digest?: Digest; maxBytes?: number; signal?: AbortSignal },
  ): Promise<{ digest: Digest; size: number }>
  /** `readable`: which repositories the caller may read, asked only when `from` is not named. */
  mount(digest: Digest, options: { from?: string; readable?: string[] | 'all' }): Promise<boolean>
  removeBlob(digest: Digest): Promise<boolean>
  /** Validates (JSON, media type, digests, what it names is here) and stores. `missing` lists what is not here; then nothing was stored. */
  put(
    manifest: RawManifest,
    tags: readonly string[],
  ): Promise<{ missing: Digest[] } | { missing: []; subject: Digest | null }>
  /** Whether the manifest and each blob that it names are here, and in the content, in their sizes. Counts as no use of them. */
  isWhole(digest: Digest): Promise<boolean>
  removeManifest(digest: Digest): Promise<boolean>
  removeTag(tag: string): Promise<boolean>
  tagPage(page: { after?: string; limit: number }): Promise<string[]>
  listReferrers(subject: Digest, artifactType?: string): Promise<Descriptor[]>
}

/** Uploads over several requests; they expire when nobody touches them for a while. */
export interface Uploads {
  /** Takes a place for an upload that is one request; returns how to give it back. RemoteError `busy` where there is none. */
  enter(): () => void
  /** Returns the session's id, a random uuid. RemoteError `busy` beyond the ceiling on sessions. */
  start(repository: string): Promise<string>
  /** Bytes received so far; undefined for an unknown or expired session, or one of another repository. */
  status(repository: string, id: string): Promise<number | undefined>
  /** Appends a chunk that starts at `offset`; returns the new size, or the current one with `outOfOrder`. One append at a time per session. */
  append(
    repository: string,
    id: string,
    source: AsyncIterable<Uint8Array>,
    options: { offset?: number; maxBytes: number; signal?: AbortSignal },
  ): Promise<{ size: number; outOfOrder: boolean } | undefined>
  finish(repository: string, id: string, digest: Digest): Promise<{ digest: Digest; size: number } | undefined>
  cancel(repository: string, id: string): Promise<boolean>
}
