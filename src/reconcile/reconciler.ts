import { EventEmitter } from 'node:events'
import { isDeepStrictEqual } from 'node:util'
import type { Deployer } from '../deployers/deployer.ts'
import { LongshoreError } from '../lib/errors.ts'
import { LimitByKey } from '../lib/limit.ts'
import type { Logger } from '../lib/logger.ts'
import type { Redactor } from '../lib/redact.ts'
import type { Metrics } from '../lib/metrics.ts'
import { untilAborted } from '../lib/until-aborted.ts'
import { everyBundle } from '../model/decision.ts'
import type { Explanation } from '../model/explain.ts'
import { nameOf } from '../model/follow.ts'
import type { LeftStatus } from '../model/placement.ts'
import type { Look, Release } from '../model/release.ts'
import type { BundleStatus } from '../model/status.ts'
import type { Steering } from '../model/steering.ts'
import type { RepositoryChange } from '../registry/types.ts'
import { Decisions } from './decisions.ts'
import { Deployments } from './deployments.ts'
import { explain } from './explain.ts'
import { Links } from './links.ts'
import type { LookContext } from './look.ts'
import { Notices } from './notices.ts'
import { pinned } from './pinned.ts'
import { createSteering } from './steering.ts'
import type { BundleSpec, Reconciler, ReconcileEvents } from './types.ts'
import { Watch, type WatchContext } from './watch.ts'

export interface ReconcilerOptions extends LookContext {
  random: () => number
  logger: Logger
  redactor: Pick<Redactor, 'redact'>
  metrics?: Pick<Metrics, 'looked' | 'fetched' | 'failed' | 'released' | 'forget' | 'deployed'>
  /** Looks under way at one time at each registry, and as many deployments besides. */
  concurrency: number
  /** How long one attempt to deploy may take. */
  deployDeadlineMs?: number
  /** How long one look may take: a registry that is slow enough would hold a place among those that look for ever. */
  lookDeadlineMs?: number
}

const defaultDeployDeadlineMs = 900_000
const defaultLookDeadlineMs = 3_600_000

/** Keeps what is served, and what is at every place, equal to what the stores offer. Does nothing before it is started. */
export function createReconciler(options: ReconcilerOptions): Reconciler {
  return new LevelReconciler(options)
}

class LevelReconciler implements Reconciler {
  readonly events = new EventEmitter<ReconcileEvents>()
  readonly steering: Steering
  readonly #options: ReconcilerOptions
  readonly #watchContext: WatchContext
  readonly #decisions: Decisions
  readonly #notices: Notices
  readonly #deployments: Deployments
  readonly #watches = new Map<string, Watch>()
  /** As the config has them, in its order; a watch has what a pin makes of it. */
  #specs = new Map<string, BundleSpec>()
  readonly #links = new Links((name) => this.#watches.get(name))
  #past: { current: Map<string, Release>; looks: Map<string, Look>; followed: Map<string, string> } | undefined
  #configuring: Promise<unknown> = Promise.resolve()
  #isFirst = true

  constructor(options: ReconcilerOptions) {
    this.#options = options
    const { metrics, concurrency, deployDeadlineMs: deadlineMs = defaultDeployDeadlineMs } = options
    this.#watchContext = {
      ...options,
      limit: new LimitByKey(concurrency),
      deadlineMs: options.lookDeadlineMs ?? defaultLookDeadlineMs,
      released: (release) => this.#released(release),
      looked: (look, more) => this.#looked(look, more),
    }
    this.#notices = new Notices(options.clock, (name, trigger) => {
      const watch = this.#watches.get(name)
      watch?.list.forget()
      watch?.ask(trigger).catch(() => undefined)
    })
    this.#decisions = new Decisions(options.state.decisions)
    this.#deployments = new Deployments({
      ...options,
      deadlineMs,
      decisions: this.#decisions,
      deployed: (event) => {
        metrics?.deployed(event.place, event.error === null ? 'done' : 'failed')
        this.#tell('deployed', event)
        this.#links.deployed(event.bundle, event.place)
      },
    })
    this.steering = createSteering({
      decisions: this.#decisions,
      deployments: this.#deployments,
      state: options.state,
      clock: options.clock,
      specOf: (bundle) => this.#specs.get(bundle),
      currentOf: (bundle) => this.#watches.get(bundle)?.current ?? null,
      redirect: (bundle, by) => this.#redirect(bundle, by),
      look: (bundle) => this.look(bundle, 'approval'),
    })
  }

  async start(): Promise<Release[]> {
    const { bundles } = this.#options.state
    const [current, looks, followed] = await Promise.all([
      bundles.current(),
      bundles.looks(),
      bundles.followed(),
      this.#decisions.load(),
    ])
    for (const hold of this.#decisions.holds()) {
      const what = hold.bundle === everyBundle ? 'nothing is' : `${hold.bundle} is not`
      const why = hold.reason === '' ? `held by ${hold.by}` : hold.reason
      this.#options.logger.warn(hold, `${what} deployed: ${why}`)
    }
    this.#past = {
      current: new Map(current.map((release) => [release.bundle, release])),
      looks: new Map(looks.map((look) => [look.bundle, look])),
      followed: new Map(followed.map((one) => [one.bundle, one.followed])),
    }
    return current
  }

  configure(
    specs: readonly BundleSpec[],
    pruners: ReadonlyMap<string, Deployer> = new Map(),
  ): Promise<{ added: string[]; changed: string[]; removed: string[] }> {
    const configured = this.#configuring.then(() => this.#configure(specs, pruners))
    this.#configuring = configured.catch(() => undefined)
    return configured
  }

  async look(name: string, trigger: string, signal?: AbortSignal): Promise<Look | undefined> {
    signal?.throwIfAborted()
    const look = this.#watches.get(name)?.ask(trigger)
    if (look === undefined || signal === undefined) return look
    return untilAborted(look, signal)
  }

  noticed(names: readonly string[], trigger: string): void {
    for (const name of names) if (this.#watches.has(name)) this.#notices.notice(name, trigger)
  }

  repositoryChanged(change: RepositoryChange): void {
    this.#links.pushed(change)
  }

  async explain(name: string, limit: number, signal: AbortSignal): Promise<Explanation | undefined> {
    const watch = this.#watches.get(name)
    await watch?.spec.store.promoter?.standing()
    const [status] = this.status(name)
    return watch && status && explain(status, watch, limit, signal)
  }

  async tags(name: string, signal: AbortSignal): Promise<readonly string[] | undefined> {
    const watch = this.#watches.get(name)
    return watch && (await watch.list.get(watch.spec, watch, signal)).tags
  }

  knownTags(name: string): readonly string[] | undefined {
    const watch = this.#watches.get(name)
    return watch?.list.known(watch.spec)?.tags
  }

  status(name?: string): BundleStatus[] {
    const one = name === undefined ? undefined : this.#watches.get(name)
    const watches = name === undefined ? [...this.#watches.values()] : one === undefined ? [] : [one]
    return watches.map(({ spec, current, look, looking, nextAt }) => ({
      name: spec.name,
      kind: spec.pull ? spec.kind : null,
      store: spec.store.name,
      follow: nameOf(this.#specs.get(spec.name)!.follow),
      current,
      look,
      looking,
      nextLookAt: nextAt,
      deployments: this.#deployments.list(spec.name),
      held: this.#decisions.holdOf(spec.name),
      promotion: spec.store.promoter?.last ?? null,
      pin: this.#decisions.pinOf(spec.name),
      health: current === null ? 'empty' : isBad(look) ? 'stale' : 'ok',
    }))
  }

  left(): LeftStatus[] {
    return this.#deployments.left()
  }

  async close(): Promise<void> {
    this.#notices.close()
    await this.#configuring
    await Promise.all([...this.#watches.values()].map((watch) => watch.close()))
    await this.#deployments.close()
  }

  async #configure(
    configured: readonly BundleSpec[],
    pruners: ReadonlyMap<string, Deployer>,
  ): Promise<{ added: string[]; changed: string[]; removed: string[] }> {
    const specs = await Promise.all(configured.map((spec) => this.#pinned(spec)))
    this.#specs = new Map(configured.map((spec) => [spec.name, spec]))
    const names = new Set(specs.map(({ name }) => name))
    const gone = [...this.#watches.values()].filter(({ spec }) => !names.has(spec.name))
    const fresh = specs.filter(({ name }) => !this.#watches.has(name))
    const changed = specs.filter((spec) => this.#change(spec)).map(({ name }) => name)
    for (const { spec } of gone) this.#watches.delete(spec.name)
    const added = fresh.map((spec) => this.#add(spec))
    this.#sort(specs)
    this.#links.configure(configured)
    for (const watch of added) watch.begin(this.#isFirst ? 'start' : 'reload')
    this.#isFirst = false
    // Asked late: it may be looked at already.
    const current = (name: string) => () => this.#watches.get(name)?.current ?? null
    await this.#deployments.configure(
      specs.map(({ name, places, store }) => ({
        bundle: name,
        places,
        origin: store,
        current: current(name),
      })),
      pruners,
    )
    await Promise.all(gone.map((watch) => this.#remove(watch)))
    return { added: fresh.map(({ name }) => name), changed, removed: gone.map(({ spec }) => spec.name) }
  }

  #pinned(spec: BundleSpec): Promise<BundleSpec> {
    return pinned(spec, this.#decisions.pinOf(spec.name), this.#options)
  }

  async #redirect(bundle: string, by: string): Promise<Look | undefined> {
    const spec = this.#specs.get(bundle)
    return spec && this.#watches.get(bundle)?.redirect(await this.#pinned(spec), by)
  }

  #change(spec: BundleSpec): boolean {
    const watch = this.#watches.get(spec.name)
    if (watch === undefined) return false
    const places = ({ places }: BundleSpec) => places.map(({ name, form }) => ({ name, form }))
    const isElsewhere = !isDeepStrictEqual(places(watch.spec), places(spec))
    return watch.change(spec) || isElsewhere
  }

  #add(spec: BundleSpec): Watch {
    if (this.#past === undefined) throw new Error('the reconciler is configured before it was started')
    const { current, looks, followed } = this.#past
    const { name } = spec
    const past = {
      current: current.get(name) ?? null,
      look: looks.get(name) ?? null,
      followed: followed.get(name) ?? null,
    }
    const watch = new Watch(spec, past, this.#watchContext)
    this.#watches.set(spec.name, watch)
    return watch
  }

  async #remove(watch: Watch): Promise<void> {
    const { name } = watch.spec
    await watch.close()
    // It may come back with a later reload.
    if (watch.current !== null) this.#past?.current.set(name, watch.current)
    if (watch.look !== null) this.#past?.looks.set(name, watch.look)
    if (watch.followed !== null) this.#past?.followed.set(name, watch.followed)
    this.#options.metrics?.forget(name)
    this.#tell('removed', name)
  }

  /** In the config's order. */
  #sort(specs: readonly BundleSpec[]): void {
    const watches = specs.map(({ name }) => this.#watches.get(name)!)
    this.#watches.clear()
    for (const watch of watches) this.#watches.set(watch.spec.name, watch)
  }

  #released(release: Release): void {
    this.#options.metrics?.released(release.bundle, release.activatedAt)
    this.#tell('released', release)
    this.#deployments.released(release)
    this.#links.released(release.bundle)
  }

  #looked(look: Look, { bytes, error }: { bytes: number; error: unknown }): void {
    const { metrics } = this.#options
    if (bytes > 0) metrics?.fetched(look.bundle, bytes)
    metrics?.looked(look.bundle, look.outcome)
    if (error !== undefined) metrics?.failed('look', error instanceof LongshoreError ? error.code : 'internal')
    this.#tell('looked', look)
    this.#deployments.compare(look)
  }

  /** Whoever listens cannot bring the flow down. */
  #tell<K extends keyof ReconcileEvents>(event: K, ...what: ReconcileEvents[K]): void {
    try {
      this.events.emit<keyof ReconcileEvents>(event, ...what)
    } catch (error) {
      this.#options.logger.error({ err: error, event }, 'a listener failed')
    }
  }
}

function isBad(look: Look | null): boolean {
  return look?.outcome === 'failed' || look?.outcome === 'refused'
}
