import type { Content } from '../../src/content/content.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { RemoteError } from '../../src/lib/errors.ts'
import { copy } from '../../src/oci/copy.ts'
import { digestOf, type Digest } from '../../src/oci/digest.ts'
import { ociLayerTarGzip } from '../../src/oci/media.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import type { RawManifest } from '../../src/oci/target.ts'
import { collect, type Collected } from '../../src/registry/collect.ts'
import type { LocalRepository } from '../../src/registry/types.ts'
import { verifyContent } from '../../src/registry/verify.ts'
import { FakeClock } from '../support/clock.ts'
import { createRandom } from '../support/random.ts'
import { tempDir } from '../support/temp.ts'
import { descriptor, from, image, index, openRegistry, type Opened } from '../unit/registry/open.ts'
import { draft } from '../unit/state/open.ts'

const graceMs = 3_600_000
/** What no tag needs stays for so long. */
const untaggedMs = 4 * graceMs
const repositories = ['a', 'a/b', 'c', 'd', 'e']
const bundles: [string, ...string[]] = ['one', 'two/three']
const keep = 2
const layers = 24
const orphans: [string, ...string[]] = ['orphan 0', 'orphan 1', 'orphan 2', 'orphan 3', 'orphan 4', 'orphan 5']
const stopped = new Error('the collection is broken off')

/** What must be there, by what was acknowledged. */
interface Model {
  /** Repository → manifest → tags are below. Bundles' repositories are not in it. */
  manifests: Map<string, Map<Digest, Known>>
  tags: Map<string, Map<string, Digest>>
  releases: Map<string, { number: number; digest: Digest }[]>
  deployed: Map<string, number | null>
}

interface Known {
  raw: RawManifest
  /** When it was put, or a tag last kept it with all that hangs on it, whichever is later. */
  neededUntil: number
  /** When a tag last kept it, if only because something refers to it. */
  referredUntil: number
  /** Nobody needed it for so long that it may be gone. */
  isLapsed: boolean
}

interface SlowPush {
  repository: string
  id: string
  text: string
  sent: number
}

/**
 * Does `steps` random things to a registry, its releases and their deployments, collections and restarts among them, and
 * throws as soon as something that somebody may need is not there, or at the end, when something is left that nobody needs.
 */
export async function runCollectionModel(seed: number, steps: number): Promise<Record<string, number>> {
  const run = new Run(seed)
  await run.open()
  try {
    for (let step = 0; step < steps; step++) {
      run.now = `seed ${seed}, step ${step}`
      await run.step()
      if (step % 50 === 49) await run.check()
    }
    run.now = `seed ${seed}, at the end`
    await run.end()
    return run.counts
  } finally {
    await run.close()
  }
}

interface Kept {
  /** For themselves, with what they name, and what refers to them. */
  whole: Set<Digest>
  /** Because something refers to them, with what they name and refer to; but not for what else refers to them. */
  subjects: Set<Digest>
}

/** What these keep of `known`, themselves among them. */
function hangingTogether(known: readonly Known[], roots: Iterable<Digest>, referred: Iterable<Digest> = []): Kept {
  const parts = known.map(({ raw }) => {
    const manifest = parseManifest(raw)
    const named = manifest.kind === 'index' ? manifest.manifests.map(({ digest }) => digest) : []
    return { digest: raw.digest, named, subject: manifest.subject?.digest }
  })
  const whole = new Set(roots)
  const subjects = new Set(referred)
  for (let before = -1; before !== whole.size + subjects.size;) {
    before = whole.size + subjects.size
    for (const { digest, named, subject } of parts) {
      if (subject !== undefined && whole.has(subject)) whole.add(digest)
      if (whole.has(digest)) for (const one of named) whole.add(one)
      if (subjects.has(digest)) for (const one of named) subjects.add(one)
      if (subject !== undefined && (whole.has(digest) || subjects.has(digest))) subjects.add(subject)
    }
  }
  return { whole, subjects }
}

function isKept({ raw }: Known, { whole, subjects }: Kept): boolean {
  return whole.has(raw.digest) || subjects.has(raw.digest)
}

class Run {
  now = ''
  readonly counts: Record<string, number> = {}
  readonly #random: () => number
  readonly #folder = tempDir('model')
  readonly #clock = new FakeClock(Date.now())
  readonly #model: Model
  readonly #texts = new Map(orphans.map((text) => [digestOf(text), text]))
  #opened: Opened | undefined
  #pushes: SlowPush[] = []
  #slow = 0
  #isCalm = false
  /** Uploads of what is being removed at that moment. */
  #comingBack: Promise<unknown>[] = []
  #collecting: { done: Promise<Collected | undefined>; stop: AbortController } | undefined

  constructor(seed: number) {
    this.#random = createRandom(seed)
    const each = <T>(names: string[], make: () => T) => new Map(names.map((name) => [name, make()]))
    this.#model = {
      manifests: each(repositories, () => new Map<Digest, Known>()),
      tags: each(repositories, () => new Map<string, Digest>()),
      releases: each(bundles, () => [] as { number: number; digest: Digest }[]),
      deployed: each(bundles, () => null),
    }
  }

  get #registry() {
    return this.#opened!.registry
  }

  async open(): Promise<void> {
    this.#opened = await openRegistry(this.#folder, { clock: this.#clock, limits: { graceMs }, durable: false })
    for (const bundle of bundles) await this.#opened.state.deployments.configure(bundle, ['prod'], null)
  }

  async close(): Promise<void> {
    this.#collecting?.stop.abort(stopped)
    await this.#collecting?.done.catch(() => undefined)
    await this.#opened?.close()
  }

  /** A few things at once, each in a repository of its own, beside a collection that may be under way. */
  async step(): Promise<void> {
    this.#noteNeeds()
    if (this.#chance(0.08)) await this.#advance()
    if (this.#chance(0.15)) this.#startCollecting()
    if (this.#chance(0.01)) return this.#restart()
    if (this.#chance(0.02)) return this.#compareDryRun()
    const free = this.#shuffled(repositories)
    const most = 1 + this.#below(3)
    const things: Promise<void>[] = []
    for (let i = 0; i < most; i++) things.push(this.#thing(free))
    const bundle = this.#pick(bundles)
    const dice = this.#random()
    if (dice < 0.3) things.push(this.#fetch(bundle, free.pop()))
    else if (dice < 0.5) things.push(this.#deploy(bundle))
    await Promise.all(things)
  }

  /** Everything that was acknowledged can be read, and nothing that the catalog names is missing or damaged. */
  async check(): Promise<void> {
    const opened = this.#opened!
    const { findings } = await verifyContent({ ...opened, catalog: opened.state.catalog })
    for (const { message } of findings) this.#fail(message)
    for (const [name, tags] of this.#model.tags) {
      const repository = this.#registry.repository(name)
      for (const [tag, digest] of tags) {
        const head = await repository.head(tag)
        if (head?.digest !== digest) this.#fail(`${name}:${tag} is ${head?.digest}, not ${digest}`)
      }
      for (const { raw } of this.#known(name)) await this.#readBack(repository, raw.digest)
    }
    for (const [bundle, releases] of this.#model.releases) {
      const repository = this.#registry.repository(`bundles/${bundle}`)
      const newest = releases.at(-1)?.number ?? 0
      for (const { number, digest } of releases) {
        const isNeeded = number > newest - keep || number === this.#model.deployed.get(bundle)
        if (isNeeded) await this.#readBack(repository, digest)
      }
    }
  }

  /** Nothing is under way any more, the grace period is over: what is there is exactly what somebody may need. */
  async end(): Promise<void> {
    await this.#finishCollecting()
    await this.check()
    for (const { repository, id } of this.#pushes) await this.#registry.uploads.cancel(repository, id)
    await this.#advanceBy(untaggedMs + graceMs)
    await this.#collect(false)
    // What came back meanwhile is old now.
    this.#isCalm = true
    await this.#clock.advance(3 * graceMs)
    await this.#collect(false)
    const again = await this.#collect(false)
    if (again.files + again.blobs + again.manifests > 0)
      this.#fail(`a second collection found ${JSON.stringify(again)}`)
    await this.check()
    await this.#compareFiles()
  }

  async #compareFiles(): Promise<void> {
    const needed = await this.#needed()
    const there = new Set<Digest>()
    for await (const { digest } of this.#opened!.content.list()) there.add(digest)
    const left = there.difference(needed)
    const lost = needed.difference(there)
    if (left.size > 0) this.#fail(`nobody needs ${[...left].join(', ')}`)
    if (lost.size > 0) this.#fail(`gone are ${[...lost].join(', ')}`)
  }

  async #needed(): Promise<Set<Digest>> {
    const needed = new Set<Digest>()
    const add = (raw: RawManifest) => {
      needed.add(raw.digest)
      const manifest = parseManifest(raw)
      const named = manifest.kind === 'index' ? manifest.manifests : [manifest.config, ...manifest.layers]
      for (const { digest } of named) needed.add(digest)
    }
    for (const name of repositories) {
      const kept = await this.#keptInTheEnd(name)
      for (const { raw } of kept) add(raw)
    }
    for (const [bundle, releases] of this.#model.releases) {
      const repository = this.#registry.repository(`bundles/${bundle}`)
      const newest = releases.at(-1)?.number ?? 0
      for (const { number, digest } of releases) {
        if (number <= newest - keep && number !== this.#model.deployed.get(bundle)) continue
        // Signatures may be signed too.
        const wanted = [digest]
        for (const one of wanted) {
          add(await repository.manifest(one))
          wanted.push(...(await repository.listReferrers(one)).map((referrer) => referrer.digest))
        }
      }
    }
    return needed
  }

  /** By the manifests that are there, lapsed ones that came to be needed again among them: going down from tags and kept releases. */
  async #keptInTheEnd(name: string): Promise<Known[]> {
    const there: Known[] = []
    for (const known of this.#model.manifests.get(name)!.values()) {
      const isGone = known.isLapsed && (await this.#registry.repository(name).head(known.raw.digest)) === undefined
      if (isGone) this.#count('untagged')
      else there.push(known)
    }
    const roots = new Set([...this.#model.tags.get(name)!.values(), ...this.#keptReleases()])
    const kept = hangingTogether(there, roots)
    return there.filter((one) => isKept(one, kept))
  }

  /** Those that stay kept if each bundle gets `more` releases. */
  #keptReleases(more = 0): Digest[] {
    return bundles.flatMap((bundle) => {
      const releases = this.#model.releases.get(bundle)!
      const isKept = ({ number }: { number: number }) =>
        number > (releases.at(-1)?.number ?? 0) + more - keep ||
        (more === 0 && number === this.#model.deployed.get(bundle))
      return releases.filter(isKept).map(({ digest }) => digest)
    })
  }

  /** What must be there: needed now, or not for long any more. */
  #known(name: string): Known[] {
    return [...this.#model.manifests.get(name)!.values()].filter(({ isLapsed }) => !isLapsed)
  }

  /** Whenever what is needed is about to change, by a deletion or by time: what is needed until now, and what may be gone from `then` on. */
  #noteNeeds(then = this.#clock.now()): void {
    const now = this.#clock.now()
    // One more may come in each step.
    const released = this.#keptReleases(1)
    for (const name of repositories) {
      const known = this.#known(name)
      const tagged = hangingTogether(known, this.#model.tags.get(name)!.values())
      for (const one of known) {
        if (tagged.whole.has(one.raw.digest)) one.neededUntil = now
        if (tagged.subjects.has(one.raw.digest)) one.referredUntil = now
      }
      const since = then - untaggedMs
      const digestsOf = (some: Known[]) => some.map(({ raw }) => raw.digest)
      const recent = digestsOf(known.filter(({ neededUntil }) => neededUntil >= since))
      const referred = digestsOf(known.filter(({ referredUntil }) => referredUntil >= since))
      const needed = hangingTogether(known, [...released, ...recent], referred)
      for (const one of known) if (!isKept(one, needed)) one.isLapsed = true
    }
  }

  async #advanceBy(ms: number): Promise<void> {
    this.#noteNeeds(this.#clock.now() + ms)
    await this.#clock.advance(ms)
    this.#noteNeeds()
  }

  #thing(free: string[]): Promise<void> {
    const name = free.pop()
    if (name === undefined) return Promise.resolve()
    const things: [number, (name: string) => Promise<void>][] = [
      [5, (to) => this.#push(to)],
      [2, (to) => this.#pushIndex(to)],
      [2, (to) => this.#sign(to)],
      [2, (to) => this.#orphan(to)],
      [2, (to) => this.#mount(to)],
      [3, (to) => this.#deleteManifest(to)],
      [2, (to) => this.#deleteTag(to)],
      [4, (to) => this.#slowPush(to)],
    ]
    let at = this.#below(things.reduce((sum, [weight]) => sum + weight, 0))
    const [, thing] = things.find(([weight]) => (at -= weight) < 0)!
    return thing(name)
  }

  async #push(name: string): Promise<void> {
    const repository = this.#registry.repository(name)
    const text = this.#layer()
    for (const blob of ['{}', text]) await this.#bring(repository, blob)
    await this.#put(name, image(text), this.#tags())
    this.#count('push')
  }

  /** As clients do: what is there is not sent again. */
  async #bring(repository: LocalRepository, text: string): Promise<void> {
    if ((await repository.statBlob(digestOf(text))) === undefined) await repository.ingestBlob(from(text), {})
  }

  async #put(name: string, raw: RawManifest, tags: string[]): Promise<void> {
    const { missing } = await this.#registry.repository(name).put(raw, tags)
    if (missing.length > 0) this.#fail(`a push to ${name} lost ${missing.join(', ')}`)
    this.#model.manifests
      .get(name)!
      .set(raw.digest, { raw, neededUntil: this.#clock.now(), referredUntil: 0, isLapsed: false })
    for (const tag of tags) this.#model.tags.get(name)!.set(tag, raw.digest)
  }

  async #pushIndex(name: string): Promise<void> {
    const members = this.#known(name).slice(0, 2)
    if (members.length === 0) return
    await this.#put(name, index(...members.map(({ raw }) => raw)), this.#tags())
    this.#count('index')
  }

  async #sign(name: string): Promise<void> {
    const known = this.#pick(this.#known(name))
    if (known === undefined) return
    const text = `signature ${this.#below(5)}`
    for (const blob of ['{}', text]) await this.#bring(this.#registry.repository(name), blob)
    const { mediaType, digest, bytes } = known.raw
    await this.#put(name, image(text, { subject: { mediaType, digest, size: bytes.length } }), [])
    this.#count('sign')
  }

  /** A push that ends before its manifest. */
  async #orphan(name: string): Promise<void> {
    await this.#registry.repository(name).ingestBlob(from(this.#pick(orphans)), {})
    this.#count('orphan')
  }

  async #mount(name: string): Promise<void> {
    const text = this.#layer()
    const repository = this.#registry.repository(name)
    if (!(await repository.mount(digestOf(text), { readable: 'all' }))) return
    await this.#bring(repository, '{}')
    if (this.#chance(0.5)) await this.#put(name, image(text), this.#tags())
    this.#count('mount')
  }

  async #deleteManifest(name: string): Promise<void> {
    const manifests = this.#model.manifests.get(name)!
    const digest = this.#pick(this.#known(name))?.raw.digest
    if (digest === undefined || this.#isMember(name, digest)) return
    this.#noteNeeds()
    await this.#registry.repository(name).deleteManifest(digest)
    manifests.delete(digest)
    const tags = this.#model.tags.get(name)!
    for (const [tag, target] of tags) if (target === digest) tags.delete(tag)
    this.#count('delete')
  }

  /** One that an index names could be deleted too, but then the index would be broken by us. */
  #isMember(name: string, digest: Digest): boolean {
    return this.#known(name).some(({ raw }) => {
      const manifest = parseManifest(raw)
      return manifest.kind === 'index' && manifest.manifests.some((member) => member.digest === digest)
    })
  }

  async #deleteTag(name: string): Promise<void> {
    const tags = this.#model.tags.get(name)!
    const tag = this.#pick([...tags.keys()])
    if (tag === undefined) return
    await this.#registry.repository(name).deleteTag(tag)
    tags.delete(tag)
    this.#count('untag')
  }

  /** An upload over many steps and hours; another layer, which nothing else names, came when it began. */
  async #slowPush(name: string): Promise<void> {
    const repository = this.#registry.repository(name)
    const going = this.#pushes.find((push) => push.repository === name)
    if (going === undefined) {
      const id = await this.#registry.uploads.start(name)
      const text = `slow ${++this.#slow}`
      for (const blob of ['{}', `beside ${text}`]) await repository.ingestBlob(from(blob), {})
      this.#pushes.push({ repository: name, id, text, sent: 0 })
      return
    }
    const { uploads } = this.#registry
    const rest = going.text.slice(going.sent, going.sent + 2)
    if (rest !== '') {
      const appended = await uploads.append(name, going.id, from(rest), { maxBytes: 100, offset: going.sent })
      if (appended !== undefined) going.sent = appended.size
      else this.#pushes = this.#pushes.filter((push) => push !== going)
      return
    }
    this.#pushes = this.#pushes.filter((push) => push !== going)
    if ((await uploads.finish(name, going.id, digestOf(going.text))) === undefined) return
    const texts = [`beside ${going.text}`, going.text]
    const both = { layers: texts.map((text) => descriptor(text, ociLayerTarGzip)) }
    await this.#put(name, image(going.text, both), this.#tags())
    this.#count('slow push')
  }

  /** What a look does: fetch, and commit a release; or give up before. */
  async #fetch(bundle: string, name: string | undefined): Promise<void> {
    const digest = name === undefined ? undefined : this.#pick([...this.#model.tags.get(name)!.values()])
    if (name === undefined || digest === undefined) return
    const into = this.#registry.repository(`bundles/${bundle}`)
    const end = this.#registry.hold(into.repositoryName)
    try {
      await copy(this.#registry.repository(name), digest, into, { referrers: true })
      const raw = await into.manifest(digest)
      if (parseManifest(raw).kind === 'index' || this.#chance(0.2)) return
      await this.#release(bundle, raw)
    } catch (error) {
      if (!(error instanceof RemoteError && error.code === 'not_found')) throw error
    } finally {
      end()
    }
  }

  async #release(bundle: string, { digest }: RawManifest): Promise<void> {
    const { bundles: state } = this.#opened!.state
    const { number } = await state.append(draft('r', { bundle, manifestDigest: digest, sourceDigest: digest }), {
      ...{ tags: ['latest', `v${this.#below(4)}`], places: ['prod'], keep, at: this.#clock.now() },
      memo: { bundle, fingerprint: digest, recipe: 'r' },
    })
    this.#model.releases.get(bundle)!.push({ number, digest })
    this.#count('release')
  }

  async #deploy(bundle: string): Promise<void> {
    const { deployments } = this.#opened!.state
    const [row] = await deployments.list(bundle)
    if (row?.desired == null) return
    await deployments.save({ ...row, deployed: row.desired, state: 'done' }, 1)
    this.#model.deployed.set(bundle, row.desired)
    this.#count('deploy')
  }

  async #readBack(repository: LocalRepository, digest: Digest): Promise<void> {
    const raw = await repository.manifest(digest)
    if (digestOf(raw.bytes) !== digest)
      this.#fail(`${repository.repositoryName}@${digest} reads back as something else`)
    const manifest = parseManifest(raw)
    if (manifest.kind === 'index') return
    for (const blob of [manifest.config, ...manifest.layers]) {
      if ((await repository.statBlob(blob.digest)) === undefined)
        this.#fail(`${repository.repositoryName} lost ${blob.digest}, which ${digest} names`)
      // Throws where the bytes are not those of the digest.
      for await (const _ of repository.blob(blob));
    }
  }

  #startCollecting(): void {
    if (this.#collecting !== undefined) return
    const stop = new AbortController()
    const done = this.#collect(false, stop.signal)
      .catch((error: unknown) => {
        if (error !== stopped) throw error
        return undefined
      })
      .finally(() => (this.#collecting = undefined))
    this.#collecting = { done, stop }
    // Told by whoever waits for it.
    done.catch((error: unknown) => {
      this.#fail(`a collection failed: ${String(error)}`)
    })
  }

  async #finishCollecting(): Promise<void> {
    if (this.#chance(0.3)) this.#collecting?.stop.abort(stopped)
    await this.#collecting?.done
  }

  async #collect(dryRun: boolean, signal?: AbortSignal): Promise<Collected> {
    const { state, registry, clock } = this.#opened!
    const content = this.#disturbed()
    const limits = { graceMs, pauseMs: 0, settleMs: 0 }
    const parts = { content, collection: state.collection, registry, clock, logger: silentLogger, limits }
    const kept = new Map(bundles.map((bundle) => [bundle, keep]))
    const collected = await collect(parts, { dryRun, keep: kept, untaggedMs, ...(signal && { signal }) })
    await Promise.all(this.#comingBack.splice(0))
    this.#count(dryRun ? 'dry run' : 'collection')
    this.#count('collected files', collected.files)
    return collected
  }

  /** Just when a blob is about to be removed, somebody may come with the same bytes; or has come, since it was found that nobody has it. */
  #disturbed(): Content {
    const { content } = this.#opened!
    const turn = () => new Promise((resolve) => setImmediate(resolve))
    return {
      ...content,
      remove: async (digest, confirm) => {
        const text = this.#texts.get(digest)
        if (text !== undefined && !this.#isCalm && this.#chance(0.5)) {
          await this.#registry.repository('e').ingestBlob(from(text), {})
          this.#count('came back')
        }
        return content.remove(digest, async () => {
          const isSure = (await confirm?.()) ?? true
          if (text !== undefined && !this.#isCalm && this.#chance(0.5)) {
            this.#comingBack.push(this.#registry.repository('e').ingestBlob(from(text), {}))
            this.#count('come back')
          }
          for (let turns = this.#below(30); turns > 0; turns--) await turn()
          return isSure
        })
      },
    }
  }

  async #compareDryRun(): Promise<void> {
    await this.#finishCollecting()
    this.#isCalm = true
    // What an interrupted one has buried is no news to the real run.
    await this.#collect(false)
    await this.#advanceBy(graceMs / 2)
    const dry = await this.#collect(true)
    const real = await this.#collect(false)
    const said = { ...dry, dryRun: false, items: [] }
    if (JSON.stringify(real) !== JSON.stringify(said))
      this.#fail(`a dry run said ${JSON.stringify(said)}, then it was ${JSON.stringify(real)}`)
    this.#isCalm = false
  }

  async #restart(): Promise<void> {
    await this.#finishCollecting()
    await this.#opened!.close()
    this.#opened = undefined
    this.#pushes = []
    await this.open()
    this.#count('restart')
  }

  async #advance(): Promise<void> {
    // Up to twice the grace period, mostly less than how long an upload may rest.
    await this.#advanceBy(this.#chance(0.2) ? this.#below(2 * graceMs) : this.#below(graceMs / 2))
  }

  #tags(): string[] {
    return this.#chance(0.7) ? [`t${this.#below(6)}`] : []
  }

  #layer(): string {
    return `layer ${this.#below(layers)}`
  }

  #below(n: number): number {
    return Math.floor(this.#random() * n)
  }

  #chance(share: number): boolean {
    return this.#random() < share
  }

  #pick<T>(list: readonly [T, ...T[]]): T
  #pick<T>(list: readonly T[]): T | undefined
  #pick<T>(list: readonly T[]): T | undefined {
    return list[this.#below(list.length)]
  }

  #shuffled(list: readonly string[]): string[] {
    return list
      .map((item) => [this.#random(), item] as const)
      .sort(([a], [b]) => a - b)
      .map(([, item]) => item)
  }

  #count(what: string, by = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + by
  }

  #fail(message: string): never {
    throw new Error(`${this.now}: ${message}`)
  }
}
