/** How a bundle goes to a place, as the config says. */
export interface Placement {
  /** A key of the config's `deployers`. */
  place: string
  form: string
  /** Where in the place; null for its root. */
  path: string | null
  /** Of the deployer: under the same name another place may be meant later. */
  address: string
}

/** A place that a bundle no longer goes to, and what stayed there. */
export interface Left extends Placement {
  bundle: string
  /** Milliseconds since the epoch. */
  leftAt: number
  /** Number of the release that was put there last; null where that may not have succeeded. */
  deployed: number | null
  /** How often it was tried to take it away. */
  attempts: number
  nextAttemptAt: number | null
  lastError: string | null
}

/** As a person is shown it. */
export interface LeftStatus extends Left {
  /** Whether it is taken away; else it stays, since the deployer does not say `prune: true`. */
  prune: boolean
}
