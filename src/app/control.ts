import type { Clock } from '../lib/clock.ts'
import { isWhole } from '../reconcile/mend.ts'
import type { Outbox } from '../reconcile/outbox.ts'
import type { Reconciler } from '../reconcile/types.ts'
import type { Registry } from '../registry/types.ts'
import type { Control } from '../server/types.ts'
import type { EventFeed } from '../state/feed.ts'
import type { State } from '../state/state.ts'
import type { FolderWatch } from './folder-watch.ts'
import type { Maintenance } from './maintenance.ts'
import type { Serving } from './serving.ts'
import type { LinkedWebhook } from './webhooks.ts'

export interface ControlOptions {
  reconciler: Reconciler
  outbox: Outbox
  serving: Serving
  state: State
  feed: EventFeed
  registry: Registry
  clock: Clock
  /** By name, as the config in force has it. */
  webhook(name: string): LinkedWebhook | undefined
  reload: Control['reload']
  maintenance: Maintenance
  folder: Pick<FolderWatch, 'warnings'>
  /** After this long a bundle that nobody came to look at no longer keeps us from being ready. */
  readyTimeoutMs: number
}

/** What the HTTP side may ask, put together from reconciler and state. */
export function createControl(options: ControlOptions): Control {
  const { reconciler, outbox, serving, state, feed, registry, clock, reload, maintenance, folder } = options
  const { steering } = reconciler
  const deadline = clock.monotonic() + options.readyTimeoutMs

  /** A release that was just made is on its way to the table: what is told as current can be fetched. */
  async function status() {
    const statuses = reconciler.status()
    await Promise.all(statuses.map(({ name }) => serving.settled(name)))
    return statuses
  }

  /** What a person said is answered once what came of it is served. */
  async function served<Answer>(bundle: string, said: Promise<Answer>): Promise<Answer> {
    const answer = await said
    await serving.settled(bundle)
    return answer
  }

  /** What a look can bring back is looked at now, and not when it is due. */
  async function lookAtLost(): Promise<string[]> {
    const lost: string[] = []
    for (const { name, current } of reconciler.status()) {
      if (current !== null && !(await isWhole(current, { registry }))) lost.push(name)
    }
    for (const name of lost) void reconciler.look(name, 'verify').catch(() => undefined)
    return lost
  }

  return {
    status,
    releases: (bundle, limit) => state.bundles.releases(bundle, limit),
    look: (bundle, trigger, signal) => served(bundle, reconciler.look(bundle, trigger, signal)),
    async explain(bundle, limit, signal) {
      await serving.settled(bundle)
      return reconciler.explain(bundle, limit, signal)
    },
    left: () => reconciler.left(),
    tags: (bundle, signal) => reconciler.tags(bundle, signal),
    knownTags: (bundle) => reconciler.knownTags(bundle),
    reload,
    steering: {
      ...steering,
      pin: (bundle, ...how) => served(bundle, steering.pin(bundle, ...how)),
      unpin: (bundle, ...how) => served(bundle, steering.unpin(bundle, ...how)),
      rollback: (bundle, ...how) => served(bundle, steering.rollback(bundle, ...how)),
      approve: (bundle, ...how) => served(bundle, steering.approve(bundle, ...how)),
    },
    events: (bundle, limit, place) => state.events.ofBundle(bundle, limit, place),
    feed,
    messages: outbox,
    webhook(name) {
      const linked = options.webhook(name)
      if (linked === undefined) return undefined
      const look = (repositories: readonly string[] | null) => {
        const bundles = linked.bundlesOf(repositories)
        reconciler.noticed(bundles, 'webhook')
        return bundles
      }
      return { webhook: linked.webhook, look }
    },
    collect: (options) => maintenance.collect(options),
    backUp: (options) => maintenance.backUp(options),
    async verify(options) {
      const verified = await maintenance.verify(options)
      return { ...verified, lookingAt: verified.found === 0 ? [] : await lookAtLost() }
    },
    verifying: () => maintenance.verifying(),
    warnings: () => folder.warnings(),
    async unready() {
      if (clock.monotonic() >= deadline) return []
      return (await status())
        .filter(({ current, look }) => current === null && look === null)
        .map(({ name }) => `${name} has no release and has not been looked at yet`)
    },
  }
}
