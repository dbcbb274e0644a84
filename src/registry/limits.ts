import type { RegistryLimits } from './types.ts'

export const defaultRegistryLimits: RegistryLimits = {
  maxUploads: 1_000,
  uploadIdleMs: 3_600_000,
  contentCacheBytes: 32 * 1024 * 1024,
  cachedBlobBytes: 64 * 1024,
  indexDelayMs: 1_000,
  graceMs: 3_600_000,
}
