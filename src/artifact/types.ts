import type { BundleKind, ReleaseForm } from '../model/release.ts'
import type { Digest } from '../oci/digest.ts'
import type { Descriptor, RawManifest } from '../oci/target.ts'

/** Ceilings on what an archive may hold; each is a key of the config's `limits`. */
export interface ArchiveLimits {
  /** Entries in one archive. Default 100,000. */
  maxEntries: number
  /** Bytes after decompression. Default 1 GiB. */
  maxUnpackedBytes: number
  /** Unpacked bytes for each packed one, over the whole archive. Default 200. */
  maxRatio: number
  /** Bytes of one file. Default 256 MiB. */
  maxFileBytes: number
}

/** Blobs of the artifact at hand, as local files, so that another thread can read them. */
export interface BlobFiles {
  file(digest: Digest): Promise<string>
}

export interface AssembleOptions {
  kind: BundleKind
  limits: ArchiveLimits
  /** An `opa` program that checks Rego too; without it none is claimed. */
  opaPath?: string
  /** A folder for work in progress, on the content's file system. */
  scratch: string
  signal?: AbortSignal
}

/**
 * What is to be served for a manifest. `original`: the layer as it came, under the manifest that it came with.
 * Otherwise `packed` is a new file in scratch (the caller ingests and removes it) and `manifest` names it.
 */
export interface Assembled {
  form: ReleaseForm
  manifest: RawManifest
  layer: Descriptor
  packed: string | null
  /** OPA's label in `.manifest`; null where there is none. */
  revision: string | null
}

/** One file of an archive, as a person would list it. */
export interface BundleFile {
  /** Relative, `/` between parts. */
  path: string
  /** Bytes. */
  size: number
}

/** What `inspect` tells of a bundle. */
export interface BundleSummary {
  files: BundleFile[]
  /** Files that OPA would not load. */
  ignored: string[]
  packages: string[]
  roots: string[]
  revision: string | null
  signed: boolean
}
