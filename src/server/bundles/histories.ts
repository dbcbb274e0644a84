import type { Digest } from '../../oci/digest.ts'

/** What bundles were before what they are now, by ETags. One that never was anything else costs nothing. */
export interface Histories {
  /** Oldest first. */
  remember(name: string, digests: Iterable<Digest>): void
  has(name: string, etag: string): boolean
  forget(name: string): void
}

/** Of each bundle. */
const mostRemembered = 1_000

export function createHistories(): Histories {
  const known = new Map<string, Set<string>>()
  return {
    remember(name, digests) {
      const history = known.get(name) ?? new Set()
      known.set(name, history)
      for (const digest of digests) {
        const etag = etagOf(digest)
        history.delete(etag)
        history.add(etag)
        if (history.size > mostRemembered) history.delete(history.values().next().value!)
      }
    },
    has: (name, etag) => known.get(name)?.has(etag) ?? false,
    forget: (name) => void known.delete(name),
  }
}

export function etagOf(digest: Digest): string {
  return `"${digest}"`
}
