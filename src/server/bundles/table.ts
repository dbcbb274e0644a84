import type { Metrics } from '../../lib/metrics.ts'
import type { Release } from '../../model/release.ts'
import type { Digest } from '../../oci/digest.ts'
import type { ServedBundle } from '../types.ts'
import { createHistories, etagOf } from './histories.ts'
import { createBundleNames } from './names.ts'

/** What one release of a bundle is answered with; made once, with the first request, used for every request. */
export interface ServedRelease {
  release: Release
  digest: Digest
  /**
   * Undefined when it is read from disk for each request. A small one is text, a character for each byte (latin1): Node sends head
   * and body in one piece if both are text, which costs it a third less.
   */
  body: Buffer | string | undefined
  readonly etag: string
  readonly headers: AnswerHeaders
}

/** Name, value, name, value, …: as `writeHead` takes them without looking at each. */
export interface AnswerHeaders {
  /** Of a 200. */
  full: readonly string[]
  /** Of a 200 to a client that waits: OPA stays in long polling only with this Content-Type. */
  fullWaiting: readonly string[]
  /** Of a 304. */
  same: readonly string[]
  /** Of a 304 that leaves the client its own ETag. */
  sameUntold: readonly string[]
}

/** One configured bundle. Never changed: replaced. */
export interface TableEntry {
  readonly name: string
  /** What its right is asked for: `bundles/NAME`. */
  readonly target: string
  /** False: it is only watched, and nothing is served. */
  readonly pull: boolean
  readonly release: Release | undefined
  /** Undefined before the first release, and where nothing of it was pulled. */
  readonly served: ServedRelease | undefined
}

/** What is served under which name: the truth for requests, replaced as a whole when anything changes. */
export interface BundleTable {
  /** Exactly these names are known from now on, each also under its aliases (exact URL paths). */
  configure(bundles: readonly { name: string; aliases: readonly string[]; pull: boolean }[]): void
  /** Digests of earlier releases, oldest first: what a rollback is told from. */
  remember(name: string, digests: Iterable<Digest>): void
  /** Makes releases current, of several bundles at once. Nothing happens for a name that is not configured. */
  activate(...served: ServedBundle[]): void
  /** Nothing is served under this name until something is activated again. */
  withdraw(name: string): void
  get(name: string): TableEntry | undefined
  /** The bundle that a URL path stands for (without query, as it came): by its name or as an alias. */
  at(path: string): TableEntry | undefined
  /** Whether an exact URL path stands for a bundle. */
  isAlias(path: string): boolean
  /** Whether the bundle ever was what this ETag (quoted) says. */
  isKnown(name: string, etag: string): boolean
  /** Called with a bundle's name after it changed or went. */
  onChange(listener: (name: string) => void): void
  /** Of all bundles together. */
  readonly memoryBytes: number
}

export interface BundleTableOptions {
  metrics: Pick<Metrics, 'setBundleMemory' | 'released' | 'forget'>
  /** What all bundles together may hold in memory; others are read from disk. 256 MiB unless said. */
  maxMemoryBytes?: number
}

const defaultMemoryBytes = 256 * 1024 ** 2
/** With its head it fits into what Node writes to the network without asking for memory. */
const maxTextBytes = 15 * 1024

export function createBundleTable(options: BundleTableOptions): BundleTable {
  const { metrics, maxMemoryBytes = defaultMemoryBytes } = options
  const listeners: ((name: string) => void)[] = []
  const names = createBundleNames()
  const histories = createHistories()
  let entries: ReadonlyMap<string, TableEntry> = new Map()
  let memoryBytes = 0
  function replace(next: ReadonlyMap<string, TableEntry>, changed: readonly string[]): void {
    entries = next
    memoryBytes = [...next.values()].reduce((sum, entry) => sum + heldBytes(entry), 0)
    metrics.setBundleMemory(memoryBytes)
    for (const name of changed) for (const listener of listeners) listener(name)
  }

  /** What it was until now is among what it ever was: from that a rollback is told. */
  function outdate({ name, release }: TableEntry): void {
    const digest = release?.bundleDigest ?? null
    if (digest !== null) histories.remember(name, [digest])
  }

  return {
    configure(bundles) {
      const next = new Map(bundles.map((bundle) => [bundle.name, entryFor(bundle, entries.get(bundle.name))]))
      const changed = [...next.keys()].filter((name) => entries.has(name) && entries.get(name) !== next.get(name))
      const gone = [...entries.keys()].filter((name) => !next.has(name))
      names.configure(bundles)
      for (const name of changed) outdate(entries.get(name)!)
      for (const name of gone) {
        histories.forget(name)
        metrics.forget(name)
      }
      replace(next, [...gone, ...changed])
    },
    remember: (name, digests) => histories.remember(name, digests),
    activate(...released) {
      const next = new Map(entries)
      const known = released.filter(({ release }) => entries.has(release.bundle))
      for (const { release, bytes } of known) {
        const { bundle: name, bundleDigest: digest } = release
        const { pull } = entries.get(name)!
        outdate(entries.get(name)!)
        const served = digest === null || !pull ? undefined : serve(release, digest, bytes)
        // Put last: the one at the front was activated longest ago.
        next.delete(name)
        next.set(name, { ...emptyEntry(name, pull), release, served })
        metrics.released(name, release.activatedAt)
      }
      const names = known.map(({ release }) => release.bundle)
      if (names.length > 0) replace(withinMemory(next, maxMemoryBytes), names)
    },
    withdraw(name) {
      const entry = entries.get(name)
      if (entry === undefined) return
      outdate(entry)
      replace(new Map(entries).set(name, emptyEntry(name, entry.pull)), [name])
    },
    get: (name) => entries.get(name),
    at(path) {
      const name = names.at(path)
      return name === undefined ? undefined : entries.get(name)
    },
    isAlias: (path) => names.isAlias(path),
    isKnown(name, etag) {
      const digest = entries.get(name)?.release?.bundleDigest ?? null
      return (digest !== null && etagOf(digest) === etag) || histories.has(name, etag)
    },
    onChange: (listener) => void listeners.push(listener),
    get memoryBytes() {
      return memoryBytes
    },
  }
}

/** Prepares what is answered for a release; also used for an older one that somebody asks for by digest. */
export function serve(release: Release, digest: Digest, bytes: Buffer | undefined): ServedRelease {
  const body = bytes !== undefined && bytes.length <= maxTextBytes ? bytes.toString('latin1') : bytes
  return new Served(release, digest, body)
}

/** Of thousands of bundles, most are not asked for: they have no headers. */
class Served implements ServedRelease {
  readonly release: Release
  readonly digest: Digest
  readonly body: Buffer | string | undefined
  #headers: AnswerHeaders | undefined
  #etag: string | undefined

  constructor(release: Release, digest: Digest, body: Buffer | string | undefined) {
    this.release = release
    this.digest = digest
    this.body = body
  }

  get etag(): string {
    return (this.#etag ??= etagOf(this.digest))
  }

  get headers(): AnswerHeaders {
    return (this.#headers ??= headersOf(this.etag, this.body?.length ?? this.release.size))
  }
}

function headersOf(etag: string, size: number): AnswerHeaders {
  // no-cache: whoever stores it asks each time whether it is still the one. The type depends on Prefer.
  const always = ['Cache-Control', 'no-cache', 'Vary', 'Prefer']
  const full = ['ETag', etag, 'Content-Length', String(size), ...always]
  return {
    full: [...full, 'Content-Type', 'application/gzip'],
    fullWaiting: [...full, 'Content-Type', 'application/vnd.openpolicyagent.bundles'],
    same: ['ETag', etag, ...always],
    sameUntold: always,
  }
}

function withoutBody({ release, digest }: ServedRelease): ServedRelease {
  return new Served(release, digest, undefined)
}

function emptyEntry(name: string, pull: boolean): TableEntry {
  return { name, target: `bundles/${name}`, pull, release: undefined, served: undefined }
}

/** Switched either way, it is as if it were new. */
function entryFor({ name, pull }: { name: string; pull: boolean }, before: TableEntry | undefined): TableEntry {
  return before?.pull === pull ? before : emptyEntry(name, pull)
}

function heldBytes(entry: TableEntry): number {
  return entry.served?.body?.length ?? 0
}

/** Lets bytes go, of the bundles that were activated longest ago first, until the rest fits; one too large by itself goes at once. */
function withinMemory(entries: Map<string, TableEntry>, maxBytes: number): Map<string, TableEntry> {
  let sum = 0
  for (const entry of [...entries.values()].reverse()) {
    const bytes = heldBytes(entry)
    if (sum + bytes <= maxBytes) sum += bytes
    else entries.set(entry.name, { ...entry, served: withoutBody(entry.served!) })
  }
  return entries
}
