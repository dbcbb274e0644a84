import { RemoteError } from '../lib/errors.ts'
import { allOrNone } from '../lib/limit.ts'
import type { CopyOptions, CopyResult } from './copy.ts'
import { Copy } from './copying.ts'
import type { Digest } from './digest.ts'
import type { RawManifest, Sink, Source } from './target.ts'

/** Tags under way at one time: while one waits for the registry, others go on; each host bounds its own requests. */
const tagsAtOnce = 8

export type CopyTagsOptions = Omit<CopyOptions, 'tags' | 'platform'>

/** What it took, and what each tag stands for now, in the source's order. */
export interface CopyTagsResult extends Omit<CopyResult, 'mediaType' | 'digest' | 'size'> {
  tags: { tag: string; digest: Digest; changed: boolean }[]
}

/**
 * Copies every tag with everything it names. What is at the target already, blobs, manifests and tags, is not sent again, and
 * what several tags share goes once: after a failure the next try goes on where this one ended. Tags that only the target has stay.
 */
export async function copyTags(from: Source, to: Sink, options: CopyTagsOptions = {}): Promise<CopyTagsResult> {
  const { referrers = false, signal } = options
  const tags = await Array.fromAsync(from.tags(signal))
  const there = new Set(await tagsThere(to, signal))
  const work = new Copy(from, to, options)
  work.roots = tags.length
  work.isNew = there.size === 0
  const found = new Map<string, { digest: Digest; raw?: RawManifest }>()
  const one = async (tag: string, stop: AbortSignal) => {
    const same = there.has(tag) && !referrers ? await sameAtBoth(tag, from, to, stop) : undefined
    const raw = same === undefined ? await from.manifest(tag, stop) : undefined
    if (raw !== undefined) await work.root(raw, referrers ? [] : [tag], stop)
    found.set(tag, raw === undefined ? { digest: same! } : { digest: raw.digest, raw })
  }
  await allOrNone(tags, one, { signal, atOnce: tagsAtOnce })
  if (referrers) {
    await work.referrers()
    // Only now: whoever checks signatures must not see the one without the other.
    for (const [tag, { raw }] of found) if (raw !== undefined) await to.putManifest(raw, [tag], signal)
  }
  const named = tags.map((tag) => {
    const { digest, raw } = found.get(tag)!
    return { tag, digest, changed: raw !== undefined }
  })
  return { tags: named, ...work.tally }
}

/** A repository comes into being with what is pushed first. */
async function tagsThere(to: Sink, signal: AbortSignal | undefined): Promise<string[]> {
  try {
    return await Array.fromAsync(to.tags(signal))
  } catch (error) {
    if (error instanceof RemoteError && error.code === 'not_found') return []
    throw error
  }
}

async function sameAtBoth(tag: string, from: Source, to: Sink, signal: AbortSignal): Promise<Digest | undefined> {
  const [here, there] = [await from.head(tag, signal), await to.head(tag, signal)]
  return here !== undefined && here.digest === there?.digest ? here.digest : undefined
}
