import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../../lib/clock.ts'
import { LongshoreError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Metrics } from '../../lib/metrics.ts'
import type { Release } from '../../model/release.ts'
import type { Digest } from '../../oci/digest.ts'
import { notAllowed, refuse, type Refusal } from '../refusal.ts'
import { createSlots, defaultDownloads, type Slots } from '../slots.ts'
import type { Caller } from '../types.ts'
import { compareEtag } from './etag.ts'
import { readBundlePath } from './path.ts'
import { readWaitSeconds } from './prefer.ts'
import {
  beforeFirstRelease,
  crowded,
  failedToRead,
  gone,
  notPulled,
  onlyGet,
  tooManyDownloads,
  unknownBundle,
  unknownRelease,
} from './refusals.ts'
import { createSender, type Sender } from './send.ts'
import { serve, type BundleTable, type ServedRelease, type TableEntry } from './table.ts'
import { createWaitingRoom, type Waiter, type WaitingRoom } from './wait.ts'

export interface BundleRouteOptions {
  table: BundleTable
  /** The newest release of a bundle with these bytes (or this manifest), its bytes kept or not. */
  findRelease(bundle: string, digest: Digest): Promise<Release | undefined>
  /** The bytes of a release that is not in memory. */
  readBlob: (bundle: string, digest: Digest) => AsyncIterable<Uint8Array>
  /** Told of a bundle whose current release is not in memory, and was asked for. */
  missed?: (bundle: string) => void
  clock: Clock
  logger: Logger
  metrics: Pick<Metrics, 'answered' | 'limited' | 'served' | 'setWaiting'>
  /** Answers that are read from disk, shared with whoever reads there too; 512 at a time unless said. */
  downloads?: Slots
  limits?: {
    /** The longest that a long poll is held, whatever it asks for; 55 s unless said. */
    maxWaitMs?: number
    /** Long polls held at a time; 15,000 unless said. Beyond it 503. */
    maxWaiters?: number
    /** A connection on which nothing moves for this long once a long poll is answered is cut; 2 min unless said. */
    stallMs?: number
  }
}

/** One request for a bundle, with as little around it as can be: this is the hottest path. */
export interface BundleRequest {
  request: IncomingMessage
  response: ServerResponse
  /** As it stood in the request, without the query. */
  path: string
  caller: Caller
  requestId: (request: IncomingMessage) => string
}

export interface BundleRoute {
  /** Whether a path (without query) is a bundle's: by its form, or as an alias. */
  handles(path: string): boolean
  /** Answers, now or when there is something to say. Never throws. */
  answer(asked: BundleRequest): void
  /** Answers everybody who waits, and holds nobody any more. */
  drain(): Promise<void>
}

const defaultMaxWaitMs = 55_000
const defaultMaxWaiters = 15_000
const defaultStallMs = 120_000

/** What is asked for once the name is known: the current release, or one by its digest. */
interface Wanted extends BundleRequest {
  entry: TableEntry
  /** Undefined when the client does not wait. */
  waitSeconds: number | undefined
  startedMs: number
}

/** A property of the response: weak keys by the thousand would hold up each full collection of garbage. */
const held = Symbol('held')

type HeldResponse = ServerResponse & { [held]?: { waiter: Waiter; room: WaitingRoom } }

/** Answered, or the client went away. One function for all who wait, rather than a closure each. */
function leave(this: HeldResponse): void {
  this[held]?.room.remove(this[held].waiter)
}

export function createBundleRoute(options: BundleRouteOptions): BundleRoute {
  return new BundleAnswers(options)
}

/** First come, or held already and asked to answer if there is news, or at the end of its time. */
type Stay = 'may hold' | 'held' | 'over'

class BundleAnswers implements BundleRoute {
  readonly #options: BundleRouteOptions
  readonly #table: BundleTable
  readonly #room: WaitingRoom
  readonly #sender: Sender
  readonly #maxWaitMs: number
  readonly #stallMs: number
  #draining = false

  constructor(options: BundleRouteOptions) {
    const { table, metrics, clock, limits = {} } = options
    this.#options = options
    this.#table = table
    this.#room = createWaitingRoom({
      clock,
      maxWaiters: limits.maxWaiters ?? defaultMaxWaiters,
      onSize: (size) => metrics.setWaiting(size),
    })
    this.#stallMs = limits.stallMs ?? defaultStallMs
    this.#sender = createSender({
      readBlob: options.readBlob,
      downloads: options.downloads ?? createSlots({ ...defaultDownloads, clock }),
    })
    this.#maxWaitMs = limits.maxWaitMs ?? defaultMaxWaitMs
    table.onChange((name) => this.#room.wake(name))
  }

  handles(path: string): boolean {
    return path.startsWith('/bundles/') || path.startsWith('/v1/bundles/') || this.#table.isAlias(path)
  }

  answer(asked: BundleRequest): void {
    const startedMs = this.#options.clock.monotonic()
    const { request, response, path, caller, requestId } = asked
    if (request.method !== 'GET' && request.method !== 'HEAD') return this.#refuse(asked, onlyGet)
    const { name, entry, digest } = find(this.#table, path)
    if (!caller.may('read', entry?.target ?? `bundles/${name}`)) {
      return this.#refuse(asked, notAllowed(caller, `read bundles/${name}`))
    }
    if (entry === undefined) return this.#refuse(asked, unknownBundle(name))
    if (!entry.pull) return this.#refuse(asked, notPulled(name))
    if (this.#draining) response.shouldKeepAlive = false
    const waitSeconds = readWaitSeconds(request.headers.prefer)
    const wanted: Wanted = { request, response, path, caller, requestId, entry, waitSeconds, startedMs }
    if (digest !== undefined) return void this.#answerPinned(wanted, digest)
    if (!this.#answerCurrent(wanted, 'may hold')) this.#hold(wanted, name, (stay) => this.#answerCurrent(wanted, stay))
  }

  async drain(): Promise<void> {
    this.#draining = true
    await this.#room.drain()
  }

  /** False when the client has what there is, and is to be held (on). */
  #answerCurrent(wanted: Wanted, stay: Stay): boolean {
    const entry = this.#table.get(wanted.entry.name)
    if (entry === undefined) this.#refuse(wanted, unknownBundle(wanted.entry.name))
    else if (entry.served !== undefined) return this.#answerWith(wanted, entry.served, stay)
    else if (!entry.pull) this.#refuse(wanted, notPulled(entry.name))
    else if (this.#isToBeHeld(wanted, stay)) return false
    else this.#refuse(wanted, beforeFirstRelease(entry.name))
    return true
  }

  async #answerPinned(wanted: Wanted, digest: Digest): Promise<void> {
    const { name, served: current } = wanted.entry
    try {
      const release = await this.#options.findRelease(name, digest)
      const bundleDigest = release?.bundleDigest ?? null
      if (release === undefined || bundleDigest === null) return this.#refuse(wanted, unknownRelease(name, digest))
      if (!release.kept) return this.#refuse(wanted, gone(name, digest))
      const served = current?.digest === bundleDigest ? current : serve(release, bundleDigest, undefined)
      // What a digest stands for never changes: who waits for that waits until the time is over.
      if (this.#answerWith(wanted, served, 'may hold')) return
      this.#hold(wanted, `${name}@${digest}`, (stay) => this.#answerWith(wanted, served, stay))
    } catch (error) {
      this.#options.logger.error({ err: error, bundle: name, digest }, 'cannot look up a release')
      this.#refuse(wanted, failedToRead)
    }
  }

  #answerWith(wanted: Wanted, served: ServedRelease, stay: Stay): boolean {
    const { name } = wanted.entry
    const header = wanted.request.headers['if-none-match']
    const freshness = compareEtag(header, served.etag, (etag) => this.#table.isKnown(name, etag))
    if (freshness === 'changed') {
      this.#sendFull(wanted, served, stay)
      return true
    }
    if (this.#isToBeHeld(wanted, stay)) return false
    this.#sender.same(wanted.response, served, freshness)
    this.#count(wanted, 304, stay)
    return true
  }

  #isToBeHeld({ waitSeconds = 0, request, response }: Wanted, stay: Stay): boolean {
    if (stay !== 'may hold') return stay === 'held'
    // Behind another answer on its connection nobody is held: one connection takes one place.
    return waitSeconds > 0 && request.method === 'GET' && response.socket !== null && !this.#draining
  }

  #hold(wanted: Wanted, key: string, answer: (stay: Stay) => boolean): void {
    const { response } = wanted
    const waiter: Waiter = {
      key,
      answer(why) {
        if (response.destroyed) return true
        if (why === 'drained') response.shouldKeepAlive = false
        return answer(why === 'changed' ? 'held' : 'over')
      },
    }
    const ms = Math.min(wanted.waitSeconds! * 1000, this.#maxWaitMs)
    if (!this.#room.hold(waiter, ms)) return this.#refuseAt('max_waiting', wanted, crowded)
    // Being held is no stall: the server's limit on that begins when the answer does. The next request has it anew.
    wanted.request.socket.setTimeout(ms + this.#stallMs)
    ;(response as HeldResponse)[held] = { waiter, room: this.#room }
    response.once('close', leave)
  }

  #sendFull(wanted: Wanted, served: ServedRelease, stay: Stay): void {
    const { response, request, entry } = wanted
    const done = this.#sender.full(response, served, wanted.waitSeconds !== undefined)
    this.#count(wanted, 200, stay)
    if (request.method !== 'HEAD') {
      this.#options.metrics.served(entry.name, served.release.size)
      const isCurrent = served === this.#table.get(entry.name)?.served
      if (isCurrent && served.body === undefined) this.#options.missed?.(entry.name)
    }
    done?.then(
      (isSent) => {
        if (!isSent) this.#refuseAt('max_downloads', wanted, tooManyDownloads)
      },
      (error: unknown) => {
        // A client that goes away while it is sent to is nobody's fault.
        if (response.destroyed && !(error instanceof LongshoreError)) return
        this.#options.logger.error({ err: error, bundle: entry.name, digest: served.digest }, 'cannot read a bundle')
        this.#refuse(wanted, failedToRead)
      },
    )
  }

  #refuseAt(limit: string, asked: BundleRequest, refusal: Refusal): void {
    this.#options.metrics.limited(limit)
    this.#refuse(asked, refusal)
  }

  #refuse(asked: BundleRequest, refusal: Refusal): void {
    refuse(asked.response, asked.path, asked.requestId(asked.request), refusal)
    this.#options.metrics.answered('bundles', refusal.status)
  }

  /** Time is told only of what was not held. */
  #count({ startedMs }: Wanted, status: number, stay: Stay): void {
    const { clock, metrics } = this.#options
    metrics.answered('bundles', status, stay === 'may hold' ? (clock.monotonic() - startedMs) / 1000 : undefined)
  }
}

interface Found {
  name: string
  entry: TableEntry | undefined
  digest: Digest | undefined
}

function find(table: BundleTable, path: string): Found {
  const entry = table.at(path)
  if (entry !== undefined) return { name: entry.name, entry, digest: undefined }
  const read = readBundlePath(path)
  if (read === undefined) return { name: path.replace(/^\/(v1\/)?bundles\//, ''), entry: undefined, digest: undefined }
  return { name: read.stem, entry: table.get(read.stem), digest: read.digest }
}
