import type { Deploy, Deployer, Observation } from '../deployers/deployer.ts'
import type { Logger } from '../lib/logger.ts'
import type { Deployment } from '../model/deployment.ts'
import { begun, done, isWhole, mended } from './place-row.ts'
import { driftOf, notThere } from './place-words.ts'

/** What an attempt sees of its place, as it is at that moment. */
export interface Site {
  readonly row: Deployment
  /** What to do where somebody else changed what we put there. */
  readonly drift: 'restore' | 'report'
  /** The config names another place now: that this one holds nothing of ours is nobody else's doing. */
  readonly isElsewhere: boolean
  readonly logger: Logger
  now(): number
  /** What was said of this attempt so far. */
  log(): readonly string[]
  /** Nobody and nothing keeps it from being deployed to. */
  mayDeploy(): boolean
  /** It is asked what it holds. */
  asked(): void
  /** `log` is of the attempt that this ends. */
  save(row: Deployment, log?: readonly string[]): Promise<void>
  /** It holds what we know of. */
  ours(): void
  /** The release is there now. */
  arrived(): void
}

/** One release at one place, once. */
export class Attempt {
  readonly #site: Site
  readonly #what: Deploy
  readonly #deployer: Deployer
  readonly #signal: AbortSignal

  constructor(site: Site, what: Deploy, deployer: Deployer, signal: AbortSignal) {
    this.#site = site
    this.#what = what
    this.#deployer = deployer
    this.#signal = signal
  }

  /** Puts it there, unless it is there. Throws what keeps it from that. */
  async bringTo(): Promise<void> {
    const { number } = this.#what.release
    const { forced } = this.#site.row
    const before = await this.#ask()
    const { row: was, isElsewhere } = this.#site
    // Another place than before, which cannot be asked, has nothing yet.
    const isThere = !this.#what.isForced && (before?.settled ?? (was.deployed === number && !isElsewhere))
    if (isThere) return this.#done(before, { isPut: false, forced })
    if (before !== undefined && this.#hasDrifted()) {
      await this.#drifted(before)
      if (this.#site.drift === 'report') return
    }
    // A newer release, or a person's word, may have come while the place was asked: then there is another attempt.
    const { row } = this.#site
    if (row.desired !== number || row.forced !== forced || !this.#site.mayDeploy()) return
    // Written before anything is done: an attempt that a crash cuts short counts.
    await this.#site.save(begun(this.#site.row, this.#site.now()))
    await this.#deployer.deploy(this.#what, this.#signal)
    const after = await this.#ask()
    if (after?.settled === false) throw notThere(this.#deployer, number, after)
    await this.#done(after, { isPut: true, forced })
  }

  /** Where nothing may be put: what we put there is compared all the same. */
  async check(): Promise<void> {
    if (this.#site.isElsewhere) return
    const said = await this.#ask()
    if (said?.settled === false) return this.#drifted(said)
    if (this.#site.row.state === 'drifted') await this.#site.save(mended(this.#site.row, said))
  }

  #ask(): Promise<Observation | undefined> {
    this.#site.asked()
    return this.#deployer.observe(this.#what, this.#signal)
  }

  #hasDrifted(): boolean {
    const { row, isElsewhere } = this.#site
    return !this.#what.isForced && row.deployed === this.#what.release.number && isWhole(row) && !isElsewhere
  }

  async #drifted({ digest }: Observation): Promise<void> {
    const { row, logger } = this.#site
    const { number } = this.#what.release
    if (row.state === 'drifted' && row.observed === digest) return
    const lastError = driftOf(this.#deployer, number, digest)
    await this.#site.save({ ...row, state: 'drifted', observed: digest, lastError })
    logger.warn({ release: number, digest }, lastError)
  }

  async #done(said: Observation | undefined, { isPut, forced }: { isPut: boolean; forced: number }): Promise<void> {
    const { number } = this.#what.release
    const before = this.#site.row
    this.#site.ours()
    const isNew = isPut || before.deployed !== number
    const after = done(before, number, said, { forced, at: isNew ? this.#site.now() : null })
    const isNews = isNew || before.state !== after.state || before.observed !== after.observed
    if (isNews) await this.#site.save(after, isPut ? this.#site.log() : [])
    if (!isNew && before.state === 'done') return
    const how = isPut ? 'deployed' : 'is there already'
    this.#site.logger.info(
      { release: number, digest: after.observed },
      `release ${number} ${how}: ${this.#deployer.name}`,
    )
    this.#site.arrived()
  }
}
