// Random histories of one bundle at two places, over the real reconciler and its real state; stores and places are fakes, which fail when they are told to.
import fc from '../support/fast-check.ts'
import { expect } from 'vitest'
import type { Deploy, Deployer, Observation } from '../../src/deployers/deployer.ts'
import { ConfigError, RemoteError, StorageError } from '../../src/lib/errors.ts'
import { findVersion, compareVersions } from '../../src/lib/version.ts'
import { everyBundle, type PinTo, type Said } from '../../src/model/decision.ts'
import type { Follow } from '../../src/model/follow.ts'
import type { Release } from '../../src/model/release.ts'
import { digestOf, type Digest } from '../../src/oci/digest.ts'
import { isWhole } from '../../src/reconcile/place-row.ts'
import type { PlaceSpec } from '../../src/reconcile/types.ts'
import { access } from '../../src/state/operations/operation.ts'
import type { State } from '../../src/state/state.ts'
import { FakeClock } from '../support/clock.ts'
import { createRandom } from '../support/random.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'
import { down, openRig, ScriptedPlace, ScriptedStore, specOf, type Rig } from '../unit/reconcile/rig.ts'

const tags = ['latest', 'v1.0.0', 'v1.1.0', 'v2.0.0'] as const
const texts = ['a', 'b', 'c', 'd']
const names = ['read', 'blind'] as const
type Name = (typeof names)[number]

const place = fc.constantFrom(...names)
const tag = fc.constantFrom(...tags)
const kinds: [weight: number, arbitrary: fc.Arbitrary<Step>][] = [
  [9, fc.record({ do: fc.constant('push'), tag, text: fc.constantFrom(...texts) })],
  [2, fc.record({ do: fc.constant('delete'), tag })],
  [2, fc.record({ do: fc.constant('pin'), tag })],
  [1, fc.record({ do: fc.constant('pinRelease'), back: fc.integer({ min: 0, max: 4 }) })],
  [2, fc.record({ do: fc.constantFrom('unpin', 'rollback') })],
  [2, fc.record({ do: fc.constant('look') })],
  [3, fc.record({ do: fc.constant('switch'), place: fc.option(place), on: fc.boolean() })],
  [1, fc.record({ do: fc.constant('hold'), all: fc.boolean() })],
  [2, fc.record({ do: fc.constant('resume'), all: fc.boolean() })],
  [2, fc.record({ do: fc.constant('deploy'), place: fc.option(place) })],
  [1, fc.record({ do: fc.constant('storeFails') })],
  [4, fc.record({ do: fc.constantFrom('failsBefore', 'failsAfter', 'unreachable'), place })],
  [4, fc.record({ do: fc.constantFrom('hangAsked', 'hangPut', 'goOn', 'goOn'), place })],
  [1, fc.record({ do: fc.constant('drift') })],
  [1, fc.record({ do: fc.constant('clockSet'), ms: fc.constantFrom(-3_600_000, 3_600_000) })],
  [2, fc.record({ do: fc.constantFrom('restart', 'crash') })],
  [1, fc.record({ do: fc.constant('reload'), autoDeploy: fc.boolean() })],
  [4, fc.record({ do: fc.constant('wait'), ms: fc.constantFrom(0, 0, 500, 5_000, 700_000) })],
]
const step = fc.oneof(...kinds.map(([weight, arbitrary]) => ({ weight, arbitrary })))

/** Each has what its kind asks for. */
interface Step {
  do: string
  tag?: string
  text?: string
  back?: number
  place?: Name | null | undefined
  on?: boolean
  all?: boolean
  autoDeploy?: boolean
  ms?: number
}

const follow: fc.Arbitrary<Follow> = fc.constantFrom<Follow>(
  { tag: 'latest' },
  { semver: '*', prerelease: false },
  { pattern: '^v(?P<version>.*)$', order: 'semver' },
)

export const history = fc.record({
  follow,
  autoDeploy: fc.boolean(),
  lateTurns: fc.constantFrom(0, 5, 50),
  steps: fc.array(step, { minLength: 10, maxLength: 40 }),
})

export type History = typeof history extends fc.Arbitrary<infer T> ? T : never

/** One sequence from its beginning to its rest. Throws where something ran that nobody said, or does not run that should. */
export async function live({ steps, ...how }: History): Promise<World> {
  const world = new World(how)
  await world.open()
  try {
    for (const step of steps) await world.take(step)
    await world.rest()
    await world.check()
    return world
  } finally {
    await world.close()
  }
}

const said: Said = { by: 'ann', reason: '' }
const theirs = digestOf('of somebody else')

/** What a place that can be asked, or cannot, was told and did. */
class ModelPlace extends ScriptedPlace implements Deployer {
  readonly #world: World
  /** What it holds is somebody else's. */
  drifted = false
  newest = 0
  failsAfter = false
  failsBefore = false
  unreachableOnce = false
  hangs: ({ when: 'asked' | 'put' } & PromiseWithResolvers<void>) | undefined

  constructor(name: Name, world: World) {
    super(name)
    this.#world = world
    this.readable = name === 'read'
  }

  override async observe(what: Deploy, signal: AbortSignal): Promise<Observation | undefined> {
    signal.throwIfAborted()
    // Nothing takes no time.
    this.#world.clock.stall(1)
    await this.#hang('asked', signal)
    if (this.unreachableOnce) {
      this.unreachableOnce = false
      throw down()
    }
    return super.observe(what, signal)
  }

  override async deploy(what: Deploy, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.most = Math.max(this.most, ++this.now)
    try {
      this.#world.putBegins(this, what)
      await this.#hang('put', signal)
      if (this.failsBefore) {
        this.failsBefore = false
        throw down()
      }
      const { digest } = await what.source.manifest(what.release.manifestDigest, signal)
      this.holds = digest
      this.drifted = false
      this.puts.push({ release: what.release.number, key: what.idempotencyKey })
      if (this.failsAfter) {
        this.failsAfter = false
        throw down()
      }
    } finally {
      this.now -= 1
    }
  }

  hang(when: 'asked' | 'put'): void {
    this.hangs ??= { when, ...Promise.withResolvers<void>() }
  }

  async #hang(when: 'asked' | 'put', signal: AbortSignal): Promise<void> {
    if (this.hangs?.when === when) await orAborted(this.hangs.promise, signal)
  }

  heal(): void {
    this.failsBefore = this.failsAfter = this.unreachableOnce = false
    this.hangs?.resolve()
    this.hangs = undefined
  }
}

export class World {
  readonly #folder = tempDir('model')
  readonly clock = new FakeClock()
  readonly #store = new ScriptedStore()
  readonly #follow: Follow
  readonly #lateTurns: number
  readonly places: Record<Name, ModelPlace>
  /** How often each kind of step was taken. */
  readonly taken: Record<string, number> = {}
  #rig!: Rig
  #autoDeploy: boolean
  /** A state that nobody can write to any more: the process is as good as killed. */
  #isDead = false

  // What persons decided, as far as it was answered.
  #pin: PinTo | null = null
  #holds = new Set<string>()
  #switches = new Map<Name | 'all', boolean>()
  /** Deployments that were asked for: how many, at each place. */
  #forced: Record<Name, number> = { read: 0, blind: 0 }
  /** A person says just now what counts. */
  #isDeciding = false
  /** How often a person said what counts. */
  #words = 0
  /** All digests that the policy ever named. */
  readonly #said = new Set<Digest>()
  /** By release, how often a person had said what counts when it was made. */
  readonly #madeAfter = new Map<number, { words: number; pinned: boolean }>()

  /** What was seen on the way: an error there would only be one more failure of a place. */
  readonly #wrong: string[] = []

  constructor({ follow, autoDeploy, lateTurns }: Omit<History, 'steps'>) {
    this.#follow = follow
    this.#autoDeploy = autoDeploy
    this.#lateTurns = lateTurns
    this.places = { read: new ModelPlace('read', this), blind: new ModelPlace('blind', this) }
  }

  async open(): Promise<void> {
    this.#isDead = false
    const wrap = (state: State) => mortal(state, this.#lateTurns, () => this.#isDead)
    this.#rig = await openRig({ folder: this.#folder, clock: this.clock, wrap })
    this.#rig.reconciler.events.on('released', ({ number }) => {
      this.#madeAfter.set(number, { words: this.#words, pinned: this.#pin !== null || this.#isDeciding })
    })
    await this.#configure()
  }

  close(): Promise<void> {
    return this.#rig.close()
  }

  async #configure(): Promise<void> {
    const how: Partial<PlaceSpec> = { autoDeploy: this.#autoDeploy }
    const spec = specOf(this.#store, {
      pull: false,
      follow: this.#follow,
      schedule: { kind: 'interval', minMs: 60_000, maxMs: 120_000 },
      places: names.map((name) => this.places[name].spec(how)),
    })
    await this.#rig.reconciler.configure([spec])
  }

  async take(step: Step): Promise<void> {
    this.taken[step.do] = (this.taken[step.do] ?? 0) + 1
    await this.#takeStep(step)
    this.#notePolicy()
  }

  // A table.
  // eslint-disable-next-line complexity
  async #takeStep({ do: kind, tag = 'latest', text = '', back = 0, place: at = null, ...step }: Step): Promise<void> {
    const { reconciler } = this.#rig
    const { steering } = reconciler
    const { on = false, all = false, ms = 0 } = step
    switch (kind) {
      case 'push':
        await this.#store.push(text, tag)
        this.#notePolicy()
        return void reconciler.look('authz', 'push').catch(() => undefined)
      case 'delete':
        return void this.#store.repository.tagged.delete(tag)
      case 'pin':
        return this.#decide({ tag }, () => steering.pin('authz', { tag }, said, signal()))
      case 'pinRelease': {
        const release = (reconciler.status('authz')[0]!.current?.number ?? 0) - back
        return this.#decide({ release }, () => steering.pin('authz', { release }, said, signal()))
      }
      case 'rollback':
        return this.#decide(null, async () => steering.rollback('authz', null, said, signal()))
      case 'unpin':
        return this.#decide(null, async () => {
          await steering.unpin('authz', said)
          return { to: null }
        })
      case 'look':
        return void reconciler.look('authz', 'request').catch(() => undefined)
      case 'switch':
        return this.#switchTo(at, on)
      case 'hold': {
        const what = all ? everyBundle : 'authz'
        await steering.hold(what, said)
        await this.#settle()
        return void this.#holds.add(what)
      }
      case 'resume':
        return this.#resume(all ? everyBundle : 'authz')
      case 'deploy': {
        const rows = await orRefused(() => steering.deploy('authz', at, said))
        for (const row of rows ?? []) this.#forced[row.place as Name] = row.forced
        return
      }
      case 'storeFails':
        return void this.#store.failures.push(down())
      case 'failsBefore':
        return void (this.places[at!].failsBefore = true)
      case 'failsAfter':
        return void (this.places[at!].failsAfter = true)
      case 'unreachable':
        return void (this.places[at!].unreachableOnce = true)
      case 'hangAsked':
        return this.places[at!].hang('asked')
      case 'hangPut':
        return this.places[at!].hang('put')
      case 'goOn':
        return this.places[at!].heal()
      case 'clockSet':
        return this.clock.jump(ms)
      case 'drift':
        return this.#drift()
      case 'restart':
        await this.#rig.close()
        return this.open()
      case 'crash':
        this.#isDead = true
        await this.#rig.close()
        return this.open()
      case 'reload':
        return this.#reload(step.autoDeploy === true)
      default:
        return this.clock.advance(ms)
    }
  }

  /** What was refused, or could not be asked for, counts for nothing. */
  async #decide(to: PinTo | null, run: () => Promise<{ to: PinTo | null }>): Promise<void> {
    // Said before it is answered: whatever comes of it may come at once.
    this.#words++
    const before = this.#pin
    if (to !== null) this.#pin = to
    this.#notePolicy()
    this.#isDeciding = true
    const answered = await orRefused(run)
    this.#isDeciding = false
    this.#pin = answered === undefined ? before : answered.to
    if (this.#pin !== null && 'release' in this.#pin) {
      const release = await this.#rig.state.bundles.release('authz', this.#pin.release)
      if (release !== undefined) this.#said.add(release.sourceDigest)
    }
  }

  async #switchTo(at: Name | null, on: boolean): Promise<void> {
    const change = () => {
      if (at === null) this.#switches.clear()
      this.#switches.set(at ?? 'all', on)
    }
    if (on) change()
    await this.#rig.reconciler.steering.switchAutoDeploy('authz', at, on, said)
    await this.#settle()
    change()
  }

  async #resume(what: string): Promise<void> {
    const before = new Set(this.#holds)
    this.#holds.delete(what)
    if (what === everyBundle) this.#holds.clear()
    const resumed = await orRefused(() => this.#rig.reconciler.steering.resume(what, said))
    if (resumed === undefined) this.#holds = before
  }

  async #reload(autoDeploy: boolean): Promise<void> {
    const before = this.#autoDeploy
    this.#autoDeploy = autoDeploy
    const configured = this.#configure()
    this.#autoDeploy = before || autoDeploy
    await configured
    await this.#settle()
    this.#autoDeploy = autoDeploy
  }

  #drift(): void {
    const { read } = this.places
    if (read.holds === null || read.now > 0) return
    read.holds = theirs
    read.drifted = true
  }

  /** What had begun before a person said no may still be on its way to the place: once the state has answered all that it was asked, it is there. */
  async #settle(): Promise<void> {
    for (let turn = 0; turn < 3; turn++) {
      await this.#rig.state.facts.get('nothing')
      await this.clock.advance(0)
    }
  }

  /** Whatever the policy names now may be released from now on. */
  #notePolicy(): void {
    for (const digest of this.#named()) this.#said.add(digest)
  }

  /** What counts by the words of the config and of persons: those of a tag, or the best of all versions. */
  #named(): Digest[] {
    const { tagged } = this.#store.repository
    const pin = this.#pin
    if (pin !== null && 'digest' in pin) return [pin.digest]
    const tag = pin !== null && 'tag' in pin ? pin.tag : 'tag' in this.#follow ? this.#follow.tag : undefined
    if (pin !== null && 'release' in pin) return []
    const named = tag ?? bestOf([...tagged.keys()])
    const digest = named === undefined ? undefined : tagged.get(named)
    return digest === undefined ? [] : [digest]
  }

  #mayDeploy(name: Name, what: Deploy): boolean {
    if (this.#holds.size > 0) return false
    if (what.isForced) return true
    return this.#switches.get(name) ?? this.#switches.get('all') ?? this.#autoDeploy
  }

  /** Called by a place when it is told to put something. */
  putBegins(to: ModelPlace, what: Deploy): void {
    const name = to.name as Name
    const { number, manifestDigest } = what.release
    if (this.#isDead) return
    const about = `release ${number} went to ${name}`
    if (!this.#mayDeploy(name, what)) this.#wrong.push(`${about}, though a person forbade it`)
    if (number < to.newest) this.#wrong.push(`${about} after release ${to.newest}`)
    const isThere = to.readable && !what.isForced && to.holds === manifestDigest
    if (isThere) this.#wrong.push(`${about}, where it is`)
    to.newest = number
  }

  /** Nothing fails any more, everybody goes on, and time passes. */
  async rest(): Promise<void> {
    this.#store.failures = []
    for (const name of names) this.places[name].heal()
    const { reconciler } = this.#rig
    await reconciler.look('authz', 'request')
    await waitFor(
      'rest',
      async () => {
        await this.clock.advance(700_000)
        await reconciler.look('authz', 'request')
        await this.#settle()
        return this.#isAtRest()
      },
      { intervalMs: 1 },
    )
  }

  #isAtRest(): boolean {
    const { current, deployments, looking } = this.#rig.reconciler.status('authz')[0]!
    if (looking) return false
    if (current === null || this.#holds.size > 0) return names.every((name) => this.places[name].now === 0)
    return deployments.every(({ autoDeploy, state, forced, forcedDone }) =>
      autoDeploy || forced > forcedDone ? state === 'done' && forced === forcedDone : state !== 'deploying',
    )
  }

  async check(): Promise<void> {
    const releases = (await this.#rig.state.bundles.releases('authz', 1_000)).toReversed()
    expect(this.#wrong).toEqual([])
    this.#checkHistory(releases)
    this.#checkServed()
    for (const name of names) this.#checkPlace(name, releases)
  }

  /** Nothing was released that the policy never named, nor anything older by itself. */
  #checkHistory(releases: readonly Release[]): void {
    for (const [at, release] of releases.entries()) {
      const about = `release ${release.number} (${release.version})`
      expect(this.#said.has(release.sourceDigest), `${about} was named`).toBe(true)
      const before = releases[at - 1]
      const made = this.#madeAfter.get(release.number)
      const earlier = before && this.#madeAfter.get(before.number)
      if (before === undefined || made === undefined || earlier === undefined || made.pinned) continue
      if ('tag' in this.#follow || made.words !== earlier.words) continue
      expect(compareTags(release.version, before.version), `${about} after ${before.version}`).toBeGreaterThanOrEqual(0)
    }
  }

  #checkServed(): void {
    const { current } = this.#rig.reconciler.status('authz')[0]!
    const [named] = this.#named()
    if (this.#pin !== null && 'release' in this.#pin) return
    if (named === undefined) return
    const isByName = this.#pin !== null || 'tag' in this.#follow
    if (isByName) return expect(current?.sourceDigest).toBe(named)
    const best = bestOf([...this.#store.repository.tagged.keys()])!
    const isNewest = current?.sourceDigest === named && current.version === best
    // The one that ran is gone, and what is left is older.
    const isGone = current !== null && !this.#store.repository.tagged.has(current.version)
    const isKept = isGone && compareTags(best, current.version) < 0
    expect(isNewest || isKept, `${current?.version} is served, ${best} is the best`).toBe(true)
  }

  #checkPlace(name: Name, releases: readonly Release[]): void {
    const to = this.places[name]
    const row = this.#rig.reconciler.status('authz')[0]!.deployments.find((one) => one.place === name)!
    const { current } = this.#rig.reconciler.status('authz')[0]!
    expect(to.most, `attempts at once at ${name}`).toBeLessThanOrEqual(1)
    const keys = Map.groupBy(to.puts, ({ key }) => key)
    for (const [key, puts] of keys) expect(new Set(puts.map(({ release }) => release)).size, key).toBe(1)
    expect(row.desired ?? null, `desired at ${name}`).toBe(current?.number ?? null)
    const isOn = this.#switches.get(name) ?? this.#switches.get('all') ?? this.#autoDeploy
    expect(row.autoDeploy).toBe(isOn)
    if (current === null || this.#holds.size > 0) return
    expect([row.forced, row.forcedDone], `asked for at ${name}`).toEqual([this.#forced[name], this.#forced[name]])
    if (isOn) {
      expect(row, name).toMatchObject({ state: 'done', deployed: current.number, lastError: null })
      expect(to.holds, name).toBe(current.manifestDigest)
    } else if (isWhole(row) && !to.drifted) {
      expect(to.holds, name).toBe(releases.find(({ number }) => number === row.deployed)!.manifestDigest)
    }
  }
}

function bestOf(list: readonly string[]): string | undefined {
  return list
    .filter((tag) => tag !== 'latest')
    .toSorted(compareTags)
    .at(-1)
}

function compareTags(a: string, b: string): number {
  const [one, other] = [findVersion(a), findVersion(b)]
  return one === undefined || other === undefined ? 0 : compareVersions(one, other)
}

function signal(): AbortSignal {
  return new AbortController().signal
}

/** Undefined where it was refused, or could not be asked for just then. */
async function orRefused<T>(run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof ConfigError || error instanceof RemoteError) return undefined
    throw error
  }
}

function orAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise: cut, reject } = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  return Promise.race([promise, cut])
}

/**
 * The same state until nobody reaches it any more: what is under way then fails, and is not done. Each answer is late by up to so many
 * turns of the event loop, in the order of the questions, as on a machine that has more to do.
 */
function mortal(state: State, lateTurns: number, isDead: () => boolean): State {
  const random = createRandom(lateTurns)
  let last: Promise<unknown> = Promise.resolve()
  const late = async () => {
    for (let turns = Math.floor(random() * (lateTurns + 1)); turns > 0; turns--) await new Promise(setImmediate)
  }
  const parts = Object.keys(access).map((group) => {
    const part = state[group as keyof typeof access] as unknown as Record<
      string,
      (...args: unknown[]) => Promise<unknown>
    >
    const methods = Object.entries(part).map(([name, method]) => [
      name,
      async (...args: unknown[]) => {
        if (isDead()) throw new StorageError('io', 'killed')
        const answer = method(...args)
        last = Promise.allSettled([last, answer]).then(late)
        await last
        return answer
      },
    ])
    return [group, Object.fromEntries(methods)] as const
  })
  return { ...state, ...Object.fromEntries(parts) }
}
