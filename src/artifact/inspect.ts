import { BundleReader, isRead } from '../opa/bundle.ts'
import { summarizeBundle } from '../opa/summary.ts'
import { readArchive } from './archive.ts'
import type { ArchiveLimits, BundleSummary } from './types.ts'

/** What is in a bundle's archive, compressed or not. Throws IntegrityError as the check before serving does. */
export async function summarize(path: string, limits: ArchiveLimits, signal?: AbortSignal): Promise<BundleSummary> {
  const reader = new BundleReader()
  for await (const entry of readArchive(path, { limits, leadingSlash: 'allow', signal })) {
    if (entry.type === 'directory') continue
    const bytes = isRead(entry.path) ? Buffer.concat(await Array.fromAsync(entry.content())) : undefined
    reader.add({ ...entry, ...(bytes && { bytes }) })
  }
  return summarizeBundle(reader.finish())
}
