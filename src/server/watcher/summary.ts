import type { Clock } from '../../lib/clock.ts'
import { Limit } from '../../lib/limit.ts'
import type { PinTo } from '../../model/decision.ts'
import type { BundleStatus } from '../../model/status.ts'
import type { Control } from '../types.ts'

/** What a page of the registry watcher's shows of a repository. */
interface Repo {
  auto_deploy: boolean
  pinned_tag: string
  pinned_tag_value: string
  tags: string[]
}

/** Stores asked for their tags at one time. */
export const listedAtOnce = 8
/** Who waits for a page waits no longer for tags; they are there when it is asked for again. */
export const listWaitMs = 5_000

/** Tags that hold the hash of a commit: one for each build, and nobody chooses among them. */
const commit = /[0-9a-f]{40}/i

export async function describeRepos(
  bundles: readonly BundleStatus[],
  control: Pick<Control, 'tags' | 'knownTags'>,
  clock: Clock,
  signal: AbortSignal,
): Promise<Record<string, Repo>> {
  const enough = new AbortController()
  const cancel = clock.after(listWaitMs, () => enough.abort(new Error('nobody waits for the tags any longer')))
  const limit = new Limit(listedAtOnce)
  const wait = AbortSignal.any([signal, enough.signal])
  try {
    const repos = bundles.map(async (bundle): Promise<[string, Repo]> => {
      const listed = limit.do(() => control.tags(bundle.name, wait), wait)
      // A store that cannot be asked hides no repository, nor does a slow one.
      const tags = await listed.catch(() => control.knownTags(bundle.name))
      return [bundle.name, repoOf(bundle, tags ?? [])]
    })
    return Object.fromEntries(await Promise.all(repos))
  } finally {
    cancel()
  }
}

export function describeCaches(bundles: readonly BundleStatus[], control: Pick<Control, 'knownTags'>) {
  return Object.fromEntries(
    bundles.map(({ name, current }) => {
      const digest = current?.sourceDigest ?? ''
      return [name, { cached_tags: shown(control.knownTags(name) ?? []), cached_digest: digest }]
    }),
  )
}

/** The pinned tag, or the newest that counts; undefined where there is none yet. */
export function tagOf({ pin, current, look }: BundleStatus): string | undefined {
  if (pin !== null && 'tag' in pin.to) return pin.to.tag
  return current?.version ?? look?.version ?? undefined
}

export function isAutoDeployed({ deployments }: BundleStatus): boolean {
  return deployments.every(({ autoDeploy }) => autoDeploy)
}

function repoOf(bundle: BundleStatus, tags: readonly string[]): Repo {
  return {
    auto_deploy: isAutoDeployed(bundle),
    pinned_tag: bundle.pin === null ? '' : nameOfPin(bundle.pin.to),
    pinned_tag_value: tagOf(bundle) ?? '',
    tags: shown(tags),
  }
}

/** In the order of their bytes. */
function shown(tags: readonly string[]): string[] {
  return tags.filter((tag) => !commit.test(tag)).sort()
}

/** As `longshore pin` takes it. */
function nameOfPin(to: PinTo): string {
  if ('tag' in to) return to.tag
  return 'release' in to ? `@${to.release}` : `@${to.digest}`
}
