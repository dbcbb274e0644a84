import type { Algorithm, Digest } from '../oci/digest.ts'

export interface BlobInfo {
  digest: Digest
  /** Bytes. */
  size: number
}

export interface IngestOptions {
  /** Refused with IntegrityError unless the bytes hash to this. */
  digest?: Digest
  /** Refused with IntegrityError unless there are exactly this many. */
  size?: number
  /** Refused with IntegrityError `size_mismatch` beyond this. */
  maxBytes?: number
  /** Which digest to give where none is asked for; sha256 unless said. */
  algorithm?: Algorithm
  /**
   * Writes down who has the blob. Called once it is stored, before anybody can remove it: whoever collects garbage asks, in
   * `remove`, after this is done.
   */
  record?: RecordBlob
  signal?: AbortSignal
}

export type RecordBlob = (blob: BlobInfo) => Promise<void>

export interface StoredBlob extends BlobInfo {
  /** When its file came or got its name, by the file system's clock. Milliseconds since the epoch. */
  changedAt: number
}

/** Inclusive, as in HTTP's Range. */
export interface ByteRange {
  first: number
  last: number
}

/**
 * Every blob, once, by digest. Knows nothing of repositories: the catalog says who may see what.
 * Throws StorageError (`disk_full`, `quota_exceeded`, `read_only`, `io`, `corrupt`) and IntegrityError.
 */
export interface Content {
  /** Writes aside while hashing, fsyncs, renames: the blob is visible in full or not at all. A blob that is there already is verified and dropped. */
  ingest(source: AsyncIterable<Uint8Array>, options?: IngestOptions): Promise<BlobInfo>
  /** A file that grows in pieces (an upload over several requests) and becomes a blob at the end. */
  startPartial(): Promise<Partial>
  stat(digest: Digest): Promise<BlobInfo | undefined>
  /**
   * Throws StorageError `corrupt` when the blob is gone, and before its last piece when its bytes hash to something else. A range
   * comes only once the whole was read; what was hashed within the last minute and not written to since is not hashed again.
   */
  read(digest: Digest, range?: ByteRange): AsyncIterable<Uint8Array>
  /** The whole blob in memory, verified. Throws IntegrityError `size_mismatch` beyond `maxBytes`. */
  bytes(digest: Digest, maxBytes: number): Promise<Buffer>
  /** A local file with exactly this blob's bytes, found right, for code in other threads; read only. Throws as `read` does. */
  file(digest: Digest): Promise<string>
  /** A folder of the same file system for work in progress, emptied at start. */
  readonly scratch: string
  /** Hashes the blob as stored. False when bytes and name disagree. */
  verify(digest: Digest, signal?: AbortSignal): Promise<boolean>
  /**
   * False, and nothing was done, when somebody is storing the same bytes now, or when `confirm` says no. While `confirm`
   * is asked nobody can come to store them.
   */
  remove(digest: Digest, confirm?: () => Promise<boolean>): Promise<boolean>
  /** Files whose name is no digest are not listed. */
  list(): AsyncIterable<StoredBlob>
  close(): Promise<void>
}

export interface Partial {
  readonly size: number
  /** Appends in order; on an error, what this call appended is taken back. */
  append(source: AsyncIterable<Uint8Array>, options: { maxBytes: number; signal?: AbortSignal }): Promise<void>
  /** Verifies, fsyncs, renames; `record` as in `IngestOptions`. After it, or after `cancel`, the partial is gone. */
  finish(digest: Digest, record?: RecordBlob): Promise<BlobInfo>
  cancel(): Promise<void>
}
