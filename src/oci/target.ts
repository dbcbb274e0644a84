import type { Digest } from './digest.ts'

/** https://github.com/opencontainers/image-spec/blob/main/descriptor.md */
export interface Descriptor {
  mediaType: string
  digest: Digest
  /** Bytes. */
  size: number
  annotations?: Record<string, string>
  artifactType?: string
  platform?: Platform
  urls?: string[]
  data?: string
}

export interface Platform {
  os: string
  architecture: string
  variant?: string
}

/** A manifest exactly as it was stored: `bytes` hash to `digest`. */
export interface RawManifest {
  mediaType: string
  digest: Digest
  bytes: Uint8Array
}

/**
 * One repository that can be read: at a registry, in an OCI image layout on disk, or in our own registry.
 * Every method throws RemoteError, StorageError or IntegrityError; "not there" is `undefined` where the type says so.
 */
export interface Source {
  /** For messages: `ghcr.io/acme/policies`, `oci-layout:./dir`. */
  readonly name: string
  /** What a tag or digest stands for now; one HEAD, no body where the registry tells the digest. */
  head(reference: string, signal?: AbortSignal): Promise<Descriptor | undefined>
  /** The manifest, verified against the digest asked for. RemoteError `not_found` where there is none. */
  manifest(reference: string, signal?: AbortSignal): Promise<RawManifest>
  /** The blob's bytes, verified against digest and size as they pass: the iteration throws IntegrityError at the end if they differ. */
  blob(descriptor: Descriptor, signal?: AbortSignal): AsyncIterable<Uint8Array>
  /** The blob's bytes as they come, for who verifies them himself; of another length than announced where something is wrong. */
  rawBlob(descriptor: Descriptor, signal?: AbortSignal): AsyncIterable<Uint8Array>
  /** In lexical order. */
  tags(signal?: AbortSignal): AsyncIterable<string>
  referrers(digest: Digest, options?: { artifactType?: string; signal?: AbortSignal }): Promise<Descriptor[]>
}

/** One repository that can be written. */
export interface Sink extends Source {
  hasBlob(descriptor: Descriptor, signal?: AbortSignal): Promise<boolean>
  /**
   * Verifies while writing; nothing is visible unless digest and size match. `open` may be called again for a retry. With `unasked`
   * nobody is asked first whether it is there already.
   */
  putBlob(
    descriptor: Descriptor,
    open: () => AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
    options?: { unasked?: boolean },
  ): Promise<void>
  /** Takes the blob from `from` without a transfer if both are of one registry and it can; false if not: the caller then copies. */
  mountBlob(descriptor: Descriptor, from: Source, signal?: AbortSignal): Promise<boolean>
  /** Stores the bytes unchanged under their digest, and each of `tags`. */
  putManifest(manifest: RawManifest, tags: readonly string[], signal?: AbortSignal): Promise<void>
  deleteManifest(digest: Digest, signal?: AbortSignal): Promise<void>
  deleteTag(tag: string, signal?: AbortSignal): Promise<void>
}
