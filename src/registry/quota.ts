import type { CatalogState } from '../state/state.ts'
import { quotaExceeded } from '../state/quota.ts'

/** How many bytes each repository may have; undefined where there is no limit. */
export type QuotaOf = (repository: string) => number | undefined

/**
 * What is left for a repository before anything is sent; the catalog looks again when it is written. Throws StorageError
 * `quota_exceeded` when that is nothing.
 */
export async function leftOf(
  catalog: Pick<CatalogState, 'usage'>,
  repository: string,
  maxBytes: number,
): Promise<number> {
  const left = maxBytes - (await catalog.usage(repository))
  if (left <= 0) throw quotaExceeded(repository, maxBytes, null)
  return left
}

/** The same chunks, but StorageError `quota_exceeded` as soon as they are more than what is left. */
export async function* withinQuota(
  source: AsyncIterable<Uint8Array>,
  left: number,
  { repository, maxBytes }: { repository: string; maxBytes: number },
): AsyncIterable<Uint8Array> {
  let bytes = 0
  for await (const chunk of source) {
    bytes += chunk.byteLength
    if (bytes > left) throw quotaExceeded(repository, maxBytes, null)
    yield chunk
  }
}
