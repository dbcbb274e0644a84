import { lookIntoFolder, putIntoFolder } from '../artifact/folder/folder.ts'
import type { Change, FolderSpec } from '../artifact/folder/types.ts'
import { defaultLimits } from '../artifact/limits.ts'
import { partsOf } from '../artifact/stage.ts'
import type { Clock } from '../lib/clock.ts'
import { IntegrityError, RemoteError } from '../lib/errors.ts'
import { backoffMs, type Backoff } from '../lib/retry.ts'
import { nextLookAt, type Schedule } from '../lib/schedule.ts'
import { counted } from '../lib/units.ts'
import type { Digest } from '../oci/digest.ts'
import { isIndex } from '../oci/media.ts'
import type { Descriptor, Source } from '../oci/target.ts'
import { imageOf } from './platform.ts'

export interface Pulled extends Change {
  /** Of what the reference stands for. */
  digest: Digest
}

export interface WatchPullOptions {
  /** A tag or a digest. */
  reference: string
  /** Absolute. */
  folder: string
  platform: string
  schedule: Schedule
  clock: Clock
  random: () => number
  signal: AbortSignal
  /** Once, before the first look. */
  onStart: () => void
  /** At the first look, where there is nothing to do. */
  onSame: (digest: Digest) => void
  onChange: (change: Pulled) => void
  /** This look and its tries failed; the folder is as it was. The next look is in so many milliseconds. */
  onFailure: (error: unknown, waitMs: number) => void
}

const tries = 3
const pause: Backoff = { firstMs: 2_000, factor: 2, capMs: 10_000 }

/** Keeps the folder up to date until the signal is aborted. One HEAD where nothing changed, at the registry or in the folder. */
export async function watchPull(source: Source, options: WatchPullOptions): Promise<void> {
  const { clock, random, schedule, signal } = options
  const puller = createPuller(source, options)
  options.onStart()
  for (let look = 1; !signal.aborted; look += 1) {
    const outcome = await puller.look().catch((error: unknown) => ({ error }))
    if (signal.aborted) return
    const waitMs = Math.max(0, (nextLookAt(schedule, clock.now(), random) ?? 0) - clock.now())
    if ('error' in outcome) options.onFailure(outcome.error, waitMs)
    else if (outcome.change !== null) options.onChange({ digest: outcome.digest, ...outcome.change })
    else if (look === 1) options.onSame(outcome.digest)
    await clock.sleep(waitMs, signal).catch(() => undefined)
  }
}

/** `zones:stable  sha256:…  3 files written, 1 removed`. */
export function describePull(reference: string, { digest, written, removed }: Pulled): string {
  const gone = removed.length === 0 ? '' : `, ${removed.length} removed`
  return `${reference}  ${digest}  ${counted(written.length, 'file')} written${gone}`
}

interface Outcome {
  digest: Digest
  /** Null where nothing was to be done. */
  change: Change | null
}

function createPuller(source: Source, options: WatchPullOptions): { look(): Promise<Outcome> } {
  const { reference, folder, platform, clock, random, signal } = options
  const spec: FolderSpec = {
    ...{ path: folder, within: null, mode: 'files', fileMode: 0o644, folderMode: 0o755, uid: null, gid: null },
  }
  // Of another tag of the same repository the older files go as well.
  const owner = source.name
  let refused: { digest: Digest; error: IntegrityError } | undefined

  async function attempt(): Promise<Outcome> {
    const found = await source.head(reference, signal)
    if (found === undefined) {
      throw new RemoteError('not_found', `${source.name} has no ${reference}`, { host: source.name })
    }
    const { digest } = found
    const form = formOf(found)
    const held = await lookIntoFolder(spec, owner, signal)
    if (held?.digest === digest && held.form === form && held.isSettled) return { digest, change: null }
    // The same bytes are as wrong as they were.
    if (refused?.digest === digest) throw refused.error
    try {
      const raw = await imageOf(source, await source.manifest(digest, signal), platform, signal)
      const parts = partsOf(raw, 'lay')
      const content = { owner, digest, form, parts, source, limits: defaultLimits, leadingSlash: 'refuse' } as const
      return { digest, change: await putIntoFolder(spec, content, async () => undefined, signal) }
    } catch (error) {
      if (error instanceof IntegrityError) refused = { digest, error }
      throw error
    }
  }

  /** The same index is other files on another platform. */
  function formOf({ mediaType }: Descriptor): string {
    return isIndex(mediaType) ? `pull ${platform}` : 'pull'
  }

  return {
    async look() {
      for (let count = 1; ; count += 1) {
        try {
          return await attempt()
        } catch (error) {
          if (signal.aborted || count === tries || error instanceof IntegrityError) throw error
          await clock.sleep(pause.firstMs + backoffMs(count, pause, random), signal)
        }
      }
    },
  }
}
