import type { Digest } from '../oci/digest.ts'

/** What a bundle is, as the config's `kind` says. */
export type BundleKind = 'opa' | 'files'

/**
 * How what came relates to what is served: `original` went on untouched; `repacked` is one archive made of an image's
 * or an artifact's layers; `assembled` is one made of single files (conftest, titled files).
 */
export type ReleaseForm = 'original' | 'repacked' | 'assembled'

/** One activation of content for a bundle. The history of a bundle is an append-only sequence of these. */
export interface Release {
  bundle: string
  /** 1, 2, 3, …: per bundle, never reused. */
  number: number
  /** sha256 of the bytes that are served, the layer's digest, the ETag. Null where nothing is pulled. */
  bundleDigest: Digest | null
  /** Bytes of the served layer. */
  size: number
  /** Of the manifest under which this release stands in `bundles/NAME`. */
  manifestDigest: Digest
  /** Of the manifest that the store offered; the same as `manifestDigest` when form is `original`. */
  sourceDigest: Digest
  form: ReleaseForm
  /** What the store calls it: a tag, a commit. */
  version: string
  /** OPA's label in `.manifest`; null where there is none. */
  revision: string | null
  /** Milliseconds since the epoch. */
  activatedAt: number
  /** `first`, `changed`, `recipe changed`, `rolled back`, …: a short reason for a person. */
  reason: string
  /** False once its bytes are gone: answered with 410. */
  kept: boolean
}

/** What one look came to; the newest is kept per bundle, and shown. */
export interface Look {
  bundle: string
  startedAt: number
  endedAt: number
  outcome: 'released' | 'unchanged' | 'refused' | 'failed'
  /** What triggered it: `schedule`, `push`, `request`, `start`, `reload`. */
  trigger: string
  /** What the store offered, where it answered. */
  version: string | null
  fingerprint: string | null
  /** Why it was refused or failed, for a person. */
  message: string | null
  /** An error code of lib/errors.ts, or null. */
  code: string | null
  /** How many looks failed in a row, this one included. */
  failures: number
  /** When the next look is due; null where only a trigger starts one. */
  nextAt: number | null
}

/** The verdict on one candidate under one recipe: what it gave, or why it was refused; `tries`: how often it was fetched for that. */
export interface Memo {
  bundle: string
  fingerprint: string
  /** Hash of the config that bears on content, and the builder's version. */
  recipe: string
  verdict: { release: number } | { refused: string; code: string; file: string | null; tries?: number }
  at: number
}
