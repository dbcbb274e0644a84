import type { Digest } from '../oci/digest.ts'

/** Who decided, when and why. */
export interface Word {
  /** As in audit lines: a token's or a user's name, `loopback`. */
  by: string
  /** Milliseconds since the epoch. */
  at: number
  /** For a person; empty where none was given. */
  reason: string
}

/** What a person says; the time is when it is heard. */
export type Said = Omit<Word, 'at'>

/**
 * What goes before `follow` until it is taken off: a tag is followed wherever it moves; a release or a digest is frozen.
 */
export type PinTo = { tag: string } | { release: number } | { digest: Digest }

export interface Pin extends Word {
  bundle: string
  to: PinTo
}

/** Goes before the config's `auto_deploy`. */
export interface Switch extends Word {
  bundle: string
  /** Null: all places of the bundle that have no switch of their own. */
  place: string | null
  on: boolean
}

/** Nothing of this bundle is deployed before a person says so. */
export interface Hold extends Word {
  /** `*`: all of them. */
  bundle: string
}

export const everyBundle = '*'
