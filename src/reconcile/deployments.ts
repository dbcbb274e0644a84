import { LimitByKey } from '../lib/limit.ts'
import type { Deployment } from '../model/deployment.ts'
import type { PlaceStatus } from '../model/status.ts'
import type { Look, Release } from '../model/release.ts'
import type { Deployer } from '../deployers/deployer.ts'
import type { Left, LeftStatus, Placement } from '../model/placement.ts'
import { Departures } from './departures.ts'
import { hostOf } from './host.ts'
import { moveTo, type Move } from './move.ts'
import { Place, type DeployContext } from './place.ts'
import type { Origin } from './source.ts'
import type { PlaceSpec } from './types.ts'

/** So many times more attempts at one host may be under way that mostly wait: a connection or two are what each costs there. */
export const waitingFactor = 8

export interface DeploymentsContext extends DeployContext {
  /** Attempts under way at one time at each registry; at one place there is never more than one. */
  concurrency: number
}

/** A bundle's places as the config has them now, and what is to be there. */
export interface BundlePlaces {
  bundle: string
  places: readonly PlaceSpec[]
  /** Its store. */
  origin: Origin
  /** Asked late: a release may be made while this is being taken up. */
  current: () => Release | null
}

/** All bundles at all places. Level-triggered: what is to be done follows from what is persisted and what the places say. */
export class Deployments {
  readonly #context: DeploymentsContext
  readonly #limit: LimitByKey
  readonly #waitingLimit: LimitByKey
  /** By bundle, then by place. */
  #bundles = new Map<string, Map<string, Place>>()
  readonly #queues = new LimitByKey(1)
  readonly #departures: Departures

  constructor(context: DeploymentsContext) {
    this.#context = context
    this.#limit = new LimitByKey(context.concurrency)
    this.#waitingLimit = new LimitByKey(context.concurrency * waitingFactor)
    this.#departures = new Departures(context, (place, deployer, run) => this.#inTurn(place, deployer, run))
  }

  /**
   * These and no others; places that stay as they are are not disturbed. What was deployed to those that are gone stays there, unless
   * one of `pruners`, by the place's name, takes it away.
   */
  async configure(wanted: readonly BundlePlaces[], pruners: ReadonlyMap<string, Deployer> = new Map()): Promise<void> {
    await this.#departures.spare(
      wanted.flatMap(({ bundle, places }) => places.map(({ name: place }) => ({ bundle, place }))),
    )
    const { rows, moves } = await this.#rows(wanted)
    const before = this.#bundles
    this.#bundles = new Map()
    const gone: Place[] = []
    for (const { bundle, places, origin, current } of wanted) {
      const old = before.get(bundle) ?? new Map<string, Place>()
      const now = new Map<string, Place>()
      this.#bundles.set(bundle, now)
      for (const spec of places) {
        const known = old.get(spec.name)
        old.delete(spec.name)
        const row = rows.get(keyOf(bundle, spec.name))
        const place = known ?? (row && this.#place(row, spec, origin))
        if (place === undefined) continue
        now.set(spec.name, place)
        place.move(moves.get(keyOf(bundle, spec.name)), prunerOf(spec, pruners))
        if (known !== undefined) known.change(spec, origin)
        else place.begin(current()?.number ?? null)
      }
    }
    for (const places of before.values()) gone.push(...places.values())
    await Promise.all(gone.map((place) => place.close()))
    const left = (await this.#context.state.placements.list()).filter((one) => one.leftAt !== null)
    await this.#departures.configure(left as Left[], pruners)
  }

  /** What stayed at places that left the config. */
  left(): LeftStatus[] {
    return this.#departures.list()
  }

  /** It is desired already, in the same transaction that made it. */
  released({ bundle, number }: Release): void {
    for (const place of this.places(bundle)) place.desire(number)
  }

  /** What kept it from being deployed may be over: every place is looked at anew. Of all bundles where none is named. */
  wake(bundle?: string): void {
    const places = bundle === undefined ? [...this.#bundles.values()].flatMap(placesOf) : this.places(bundle)
    for (const place of places) place.wake()
    this.#departures.wake()
  }

  /** After a look: whatever it found, somebody else may have changed what is there. */
  compare({ bundle, startedAt }: Look): void {
    for (const place of this.places(bundle)) place.compare(startedAt)
  }

  places(bundle: string): Place[] {
    return placesOf(this.#bundles.get(bundle))
  }

  /** These rows are as the state has them now. */
  force(rows: readonly Deployment[]): void {
    for (const row of rows) this.#bundles.get(row.bundle)?.get(row.place)?.force(row)
  }

  list(bundle: string): PlaceStatus[] {
    return this.places(bundle).map((place) => place.status())
  }

  async close(): Promise<void> {
    const places = [...this.#bundles.values()].flatMap(placesOf)
    await Promise.all([...places.map((place) => place.close()), this.#departures.close()])
  }

  /** What is persisted of these places, made to be what the config says where it differs; and what is still elsewhere, or there in another way. */
  async #rows(wanted: readonly BundlePlaces[]): Promise<{ rows: Map<string, Deployment>; moves: Map<string, Move> }> {
    const { state, clock } = this.#context
    const rows = Map.groupBy(await state.deployments.list(), ({ bundle }) => bundle)
    const known = Map.groupBy(await state.placements.list(), ({ bundle }) => bundle)
    const moves = new Map<string, Move>()
    const names = new Set(wanted.map(({ bundle }) => bundle))
    const gone = [...rows.keys()].filter((bundle) => !names.has(bundle)).map(nowhere)
    for (const { bundle, places, current } of [...wanted, ...gone]) {
      const placements = places.map(placementOf).map((to) => {
        const move = moveTo(to, known.get(bundle) ?? [], rows.get(bundle) ?? [])
        if (move !== undefined) moves.set(keyOf(bundle, to.place), move)
        return move?.from ?? to
      })
      if (isAsIs(placements, rows.get(bundle) ?? [], known.get(bundle) ?? [])) continue
      const how = { placements, at: clock.now() }
      await state.deployments.configure(
        bundle,
        placements.map(({ place }) => place),
        current()?.number ?? null,
        how,
      )
      rows.set(bundle, await state.deployments.list(bundle))
    }
    return { rows: new Map([...rows.values()].flat().map((row) => [keyOf(row.bundle, row.place), row])), moves }
  }

  #place(row: Deployment, spec: PlaceSpec, origin: Origin): Place {
    return new Place(row, { spec, origin }, this.#context, (deployer, run) => this.#inTurn(spec.name, deployer, run))
  }

  #inTurn(place: string, { address, yields = false }: Deployer, run: () => Promise<void>): Promise<void> {
    const limit = yields ? this.#waitingLimit : this.#limit
    return this.#queues.do(place, () => limit.do(hostOf(address), run))
  }
}

/** Undefined where nothing is taken away from there. */
function prunerOf({ name, deployer }: PlaceSpec, pruners: ReadonlyMap<string, Deployer>): Deployer | undefined {
  const pruner = pruners.get(name)
  return pruner?.address === deployer.address ? pruner : undefined
}

/** A bundle that left the config. */
function nowhere(bundle: string): Pick<BundlePlaces, 'bundle' | 'places' | 'current'> {
  return { bundle, places: [], current: () => null }
}

function placementOf({ name: place, form, path, deployer }: PlaceSpec): Placement {
  return { place, form, path, address: deployer.address }
}

type Known = Awaited<ReturnType<DeployContext['state']['placements']['list']>>

/** Whether the state has them as the config does. */
function isAsIs(placements: readonly Placement[], rows: readonly Deployment[], known: Known): boolean {
  const wanted = new Set(placements.map(({ place }) => place))
  if (wanted.symmetricDifference(new Set(rows.map(({ place }) => place))).size > 0) return false
  return placements.every(({ place, form, path, address }) => {
    const before = known.find((one) => one.place === place)
    return before?.leftAt === null && before.form === form && before.path === path && before.address === address
  })
}

function placesOf(places: ReadonlyMap<string, Place> | undefined): Place[] {
  return [...(places?.values() ?? [])]
}

function keyOf(bundle: string, place: string): string {
  return `${bundle}\n${place}`
}
