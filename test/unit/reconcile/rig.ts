import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defaultLimits } from '../../../src/artifact/limits.ts'
import type { Assembled, AssembleOptions, BlobFiles } from '../../../src/artifact/types.ts'
import { createFolderContent } from '../../../src/content/folder.ts'
import type { Deploy, Deployer, Observation, Removal } from '../../../src/deployers/deployer.ts'
import { IntegrityError, RemoteError } from '../../../src/lib/errors.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import type { Exact } from '../../../src/model/follow.ts'
import type { Look, Release } from '../../../src/model/release.ts'
import { digestOf, type Digest } from '../../../src/oci/digest.ts'
import { parseManifest } from '../../../src/oci/manifest.ts'
import { emptyJson, ociConfig, ociManifest } from '../../../src/oci/media.ts'
import type { RawManifest } from '../../../src/oci/target.ts'
import { createReconciler } from '../../../src/reconcile/reconciler.ts'
import type { Assembler, BundleSpec, PlaceSpec, Reconciler, ReconcileEvents } from '../../../src/reconcile/types.ts'
import { createRegistry } from '../../../src/registry/registry.ts'
import type { Registry } from '../../../src/registry/types.ts'
import type { State } from '../../../src/state/state.ts'
import { storeFrom } from '../../../src/stores/from-source.ts'
import type { Candidate, Fetched, Store } from '../../../src/stores/store.ts'
import type { Sink } from '../../../src/oci/target.ts'
import { FakeClock } from '../../support/clock.ts'
import { imageOf, MemoryRepository } from '../../support/repository.ts'
import { tempDir } from '../../support/temp.ts'
import { waitFor } from '../../support/wait.ts'
import { openInProcess } from '../state/open.ts'

export interface Rig {
  folder: string
  clock: FakeClock
  state: State
  registry: Registry
  reconciler: Reconciler
  released: Release[]
  looked: Look[]
  removed: string[]
  deployed: ReconcileEvents['deployed'][0][]
  /** Which writes the state has got: `saveLook`, `remember`, `append`. */
  writes: string[]
  /** Every call of the state's parts for the catalog and bundles: `catalog.parts`. */
  calls: string[]
  assembled: number
  /** While set, the assembler waits for it, whatever its signal says. */
  assembling: Promise<void> | undefined
  /** While set, the assembler refuses everything. */
  refusing: boolean
  /** While set, releases are not committed before it resolves. */
  appending: Promise<void> | undefined
  close(): Promise<void>
}

export interface RigOptions {
  folder?: string
  clock?: FakeClock
  concurrency?: number
  random?: () => number
  deployDeadlineMs?: number
  /** What the reconciler is given in place of the state. */
  wrap?: (state: State) => State
}

/** The reconciler over real state, content and registry in a folder; only stores, deployers and the assembler are scripted. */
export async function openRig(options: RigOptions = {}): Promise<Rig> {
  const { folder = tempDir('reconcile'), clock = new FakeClock(), concurrency = 4, random = () => 0.5 } = options
  const calls: string[] = []
  const inProcess = await openInProcess(folder)
  const opened = options.wrap === undefined ? inProcess : options.wrap(inProcess)
  const state = {
    ...opened,
    catalog: recording('catalog', opened.catalog, calls),
    bundles: recording('bundles', opened.bundles, calls),
  }
  const content = await createFolderContent({ path: folder, logger: silentLogger })
  const registry = createRegistry({ content, catalog: state.catalog, clock, logger: silentLogger })
  const writes: string[] = []
  const assembler = new TestAssembler(() => rig)
  const reconciler = createReconciler({
    state: {
      ...state,
      bundles: noting(state.bundles, ['saveLook', 'remember', 'append'], async (method) => {
        writes.push(method)
        if (method === 'append') await rig.appending
      }),
    },
    registry,
    assembler,
    clock,
    random,
    logger: silentLogger,
    redactor: new Redactor(),
    concurrency,
    scratch: content.scratch,
    ...(options.deployDeadlineMs !== undefined && { deployDeadlineMs: options.deployDeadlineMs }),
  })
  const rig: Rig = {
    folder,
    clock,
    state,
    registry,
    reconciler,
    released: [],
    looked: [],
    removed: [],
    deployed: [],
    writes,
    calls,
    assembling: undefined,
    refusing: false,
    appending: undefined,
    get assembled() {
      return assembler.count
    },
    async close() {
      await reconciler.close()
      await registry.close()
      await content.close()
      await state.close()
    },
  }
  reconciler.events.on('released', (release) => rig.released.push(release))
  reconciler.events.on('looked', (look) => rig.looked.push(look))
  reconciler.events.on('removed', (name) => rig.removed.push(name))
  reconciler.events.on('deployed', (event) => rig.deployed.push(event))
  await reconciler.start()
  return rig
}

export function specOf(store: Store, more: Partial<BundleSpec> = {}): BundleSpec {
  return {
    name: 'authz',
    kind: 'opa',
    store,
    follow: { tag: 'latest' },
    allowDowngrade: false,
    platform: 'linux/amd64',
    pull: true,
    schedule: { kind: 'interval', minMs: 60_000, maxMs: 60_000 },
    keep: 10,
    recipe: 'r1',
    limits: { maxEntries: 1000, maxUnpackedBytes: 1e9, maxRatio: 200, maxFileBytes: 1e9 },
    places: [],
    ...more,
  }
}

/** Gives way to what is under way in files, until it is so. */
export async function until(isSo: () => boolean): Promise<void> {
  await waitFor(isSo.toString(), isSo, { intervalMs: 1 })
}

/** A repository behind a store whose every call can be counted, held and made to fail. */
export class ScriptedStore implements Store {
  readonly name: string
  readonly address: string
  readonly repository: MemoryRepository
  readonly #inner: Store
  resolves = 0
  lists = 0
  fetches = 0
  now = 0
  most = 0
  /** Thrown by the next calls, one each. */
  failures: Error[] = []
  fetchFailures: Error[] = []
  /** Thrown while set, by whoever opens the repository. */
  opening: Error | undefined
  /** While set, a call of `resolve` waits for it. */
  gate: Promise<void> | undefined
  fetchGate: Promise<void> | undefined

  constructor(address = 'test/policies') {
    this.name = this.address = address
    this.repository = new MemoryRepository(address)
    const open = () => Promise.resolve(this.repository)
    this.#inner = storeFrom({ name: address, address, open, logger: silentLogger })
  }

  open(): Promise<MemoryRepository> {
    return this.opening === undefined ? Promise.resolve(this.repository) : Promise.reject(this.opening)
  }

  push(text: string, tag = 'latest'): Promise<RawManifest> {
    return imageOf(this.repository, [text], { tags: [tag] })
  }

  async resolve(exact: Exact, signal: AbortSignal): Promise<Candidate | undefined> {
    this.resolves += 1
    this.most = Math.max(this.most, ++this.now)
    try {
      if (this.gate !== undefined) await orAborted(this.gate, signal)
      const failure = this.failures.shift()
      if (failure !== undefined) throw failure
      return await this.#inner.resolve(exact, signal)
    } finally {
      this.now -= 1
    }
  }

  async versions(signal: AbortSignal): Promise<string[]> {
    this.lists += 1
    return this.#inner.versions(signal)
  }

  createdAt(candidate: Candidate, options: { platform: string; signal: AbortSignal }): Promise<number | undefined> {
    return this.#inner.createdAt(candidate, options)
  }

  async fetch(candidate: Candidate, into: Sink, options: { platform: string; signal: AbortSignal }): Promise<Fetched> {
    this.fetches += 1
    if (this.fetchGate !== undefined) await orAborted(this.fetchGate, options.signal)
    const failure = this.fetchFailures.shift()
    if (failure !== undefined) throw failure
    return this.#inner.fetch(candidate, into, options)
  }
}

export const down = () => new RemoteError('unavailable', 'test answered 503', { host: 'test', retryable: true })

/** What a layer says decides what is made of it: `refuse…` is refused, `pack…` is packed anew, all else goes as it is. */
class TestAssembler implements Assembler {
  readonly #rig: () => Pick<Rig, 'assembling' | 'refusing'>
  count = 0

  constructor(rig: () => Pick<Rig, 'assembling' | 'refusing'>) {
    this.#rig = rig
  }

  async assemble(raw: RawManifest, blobs: BlobFiles, { scratch }: AssembleOptions): Promise<Assembled> {
    this.count += 1
    await this.#rig().assembling
    const manifest = parseManifest(raw)
    if (manifest.kind !== 'image') throw new IntegrityError('unsupported_artifact', 'an index')
    const layer = manifest.layers[0]!
    const text = await readFile(await blobs.file(layer.digest), 'utf8')
    if (text.startsWith('refuse') || this.#rig().refusing)
      throw new IntegrityError('bad_bundle', 'a rule without an end', { file: 'a.rego' })
    if (!text.startsWith('pack ')) return { form: 'original', manifest: raw, layer, packed: null, revision: null }
    const bytes = Buffer.from(`packed ${text.split(' ')[1]}`)
    const packed = join(scratch, randomUUID())
    if (!text.startsWith('pack and lose')) await writeFile(packed, bytes)
    const made = { mediaType: layer.mediaType, digest: digestOf(bytes), size: bytes.length }
    const config = { mediaType: ociConfig, digest: digestOf(emptyJson), size: 2 }
    const json = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config, layers: [made] }))
    const own = { mediaType: ociManifest, digest: digestOf(json), bytes: json }
    return { form: 'repacked', manifest: own, layer: made, packed, revision: 'r' }
  }
}

/** A place that holds one digest, and can be made to fail, to hang and to forget. */
export class ScriptedPlace implements Deployer {
  readonly name: string
  readonly address: string
  holds: Digest | null = null
  readable = true
  yields = false
  /** Thrown while set, by whoever asks what it holds. */
  unreachable: Error | undefined
  failures: Error[] = []
  gate: Promise<void> | undefined
  puts: { release: number; key: string }[] = []
  /** Which releases each call of `remove` was to take away. */
  removals: number[][] = []
  observations = 0
  now = 0
  most = 0
  /** Called when the bytes are there, before `deploy` answers. */
  onPut: (() => void) | undefined

  constructor(name = 'prod') {
    this.name = name
    this.address = name
  }

  async observe({ release }: Deploy, _signal?: AbortSignal): Promise<Observation | undefined> {
    this.observations += 1
    if (this.unreachable !== undefined) throw this.unreachable
    if (!this.readable) return undefined
    return { digest: this.holds, settled: this.holds === release.manifestDigest }
  }

  async deploy({ release, source, idempotencyKey, say }: Deploy, signal: AbortSignal): Promise<void> {
    this.most = Math.max(this.most, ++this.now)
    try {
      this.puts.push({ release: release.number, key: idempotencyKey })
      if (this.gate !== undefined) await orAborted(this.gate, signal)
      say(`put release ${release.number}`)
      const failure = this.failures.shift()
      if (failure !== undefined) throw failure
      const { digest } = await source.manifest(release.manifestDigest, signal)
      this.holds = digest
      this.onPut?.()
    } finally {
      this.now -= 1
    }
  }

  async remove({ releases, check }: Removal, signal: AbortSignal): Promise<void> {
    await check()
    this.removals.push(releases.map(({ number }) => number))
    if (this.gate !== undefined) await orAborted(this.gate, signal)
    const failure = this.failures.shift()
    if (failure !== undefined) throw failure
    this.holds = null
  }

  spec(more: Partial<PlaceSpec> = {}): PlaceSpec {
    const how = {
      form: 'served' as const,
      path: null,
      limits: defaultLimits,
      autoDeploy: true,
      drift: 'restore' as const,
    }
    const retry = { maxAttempts: null, maxIntervalMs: 600_000 }
    return { name: this.name, ...how, retry, deployer: this, ...more }
  }
}

function orAborted(gate: Promise<void>, signal: AbortSignal): Promise<void> {
  return Promise.race([
    gate,
    new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error))
    }),
  ])
}

function recording<T extends object>(group: string, object: T, calls: string[]): T {
  const methods = Object.keys(object) as (keyof T & string)[]
  return noting(object, methods, (method) => Promise.resolve(void calls.push(`${group}.${method}`)))
}

function noting<T extends object>(
  object: T,
  methods: (keyof T & string)[],
  before: (method: string) => Promise<void>,
): T {
  const noted = methods.map((method) => [
    method,
    async (...args: unknown[]) => {
      await before(method)
      return (object[method] as (...args: unknown[]) => unknown)(...args)
    },
  ])
  return { ...object, ...Object.fromEntries(noted) } as T
}
