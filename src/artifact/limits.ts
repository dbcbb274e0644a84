import type { ArchiveLimits } from './types.ts'

/** What the config's `limits` are unless said otherwise. */
export const defaultLimits: ArchiveLimits = {
  maxEntries: 100_000,
  maxUnpackedBytes: 1024 ** 3,
  maxRatio: 200,
  maxFileBytes: 256 * 1024 ** 2,
}
