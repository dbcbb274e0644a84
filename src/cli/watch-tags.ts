import type { Clock } from '../lib/clock.ts'
import { allOrNone } from '../lib/limit.ts'
import type { Digest } from '../oci/digest.ts'
import type { Source } from '../oci/target.ts'

/** What tags stand for. */
export type TagMap = ReadonlyMap<string, Digest>

export type TagChange =
  | { change: 'added'; tag: string; digest: Digest }
  | { change: 'moved'; tag: string; digest: Digest; previous: Digest }
  | { change: 'removed'; tag: string; previous: Digest }

export interface WatchOptions {
  intervalMs: number
  clock: Clock
  signal: AbortSignal
  /** Once, before the first interval, with what is there. */
  onStart: (tags: TagMap) => void
  onChange: (change: TagChange) => void
  /** One look failed; the next may not. What is known stays. */
  onFailure: (error: unknown) => void
}

/** More would only wait: the client lets few requests through to one host at a time. */
const headsAtOnce = 4

/** Looks again after each interval until the signal is aborted; rejects if the first look fails. */
export async function watchTags(source: Source, options: WatchOptions): Promise<void> {
  let known = await readTags(source, options.signal)
  options.onStart(known)
  while (!options.signal.aborted) {
    await options.clock.sleep(options.intervalMs, options.signal).catch(() => undefined)
    if (options.signal.aborted) return
    try {
      const found = await readTags(source, options.signal)
      for (const change of compareTags(known, found)) options.onChange(change)
      known = found
    } catch (error) {
      if (options.signal.aborted) return
      options.onFailure(error)
    }
  }
}

/** Every tag with its digest, by HEADs. A tag that goes while we look is left out. */
export async function readTags(source: Source, signal: AbortSignal): Promise<TagMap> {
  const names: string[] = []
  for await (const tag of source.tags(signal)) names.push(tag)
  const found = new Map<string, Digest>()
  await allOrNone(
    names,
    async (tag, stop) => {
      const digest = (await source.head(tag, stop))?.digest
      if (digest !== undefined) found.set(tag, digest)
    },
    { signal, atOnce: headsAtOnce },
  )
  return found
}

/** Tag by tag in lexical order. */
export function compareTags(before: TagMap, after: TagMap): TagChange[] {
  const tags = [...new Set([...before.keys(), ...after.keys()])].sort()
  return tags.flatMap((tag): TagChange[] => {
    const previous = before.get(tag)
    const digest = after.get(tag)
    if (digest === previous) return []
    if (digest === undefined) return previous === undefined ? [] : [{ change: 'removed', tag, previous }]
    return [previous === undefined ? { change: 'added', tag, digest } : { change: 'moved', tag, digest, previous }]
  })
}
