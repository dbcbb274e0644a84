import { RemoteError } from '../../lib/errors.ts'
import { formatDuration } from '../../lib/units.ts'
import type { Deploy, Deployer, DeployerContext, Observation } from '../deployer.ts'
import { withNomad, type NomadApi } from './api.ts'
import { bringJob } from './bring.ts'
import { digestIn, hasValues, valuesOf } from './job.ts'
import { judge } from './judge.ts'
import type { NomadDeployerConfig } from './schema.ts'
import type { Job } from './types.ts'

export function createDeployer(config: NomadDeployerConfig, context: DeployerContext): Deployer {
  return new NomadDeployer(config, context)
}

/** One task of one job: it gets the version, and the job is followed until that runs. */
class NomadDeployer implements Deployer {
  readonly name: string
  readonly address: string
  readonly yields = true
  readonly #host: string
  readonly #config: NomadDeployerConfig
  readonly #context: DeployerContext

  constructor(config: NomadDeployerConfig, context: DeployerContext) {
    const { job, group, task, address } = config
    this.#host = new URL(address).host
    this.name = `task ${group === undefined ? task : `${group}/${task}`} of job ${job} at ${this.#host}`
    const where = [config.region, config.namespace].map((name) => name ?? '-')
    this.address = [this.#host, ...where, job, group ?? '-', task].join('/')
    this.#config = config
    this.#context = context
  }

  /** It is there when the job has it and Nomad is done with that. A job that is gone, or stopped, holds nothing. */
  async observe(what: Deploy, signal: AbortSignal): Promise<Observation> {
    return withNomad(this.#config, { redactor: this.#context.redactor, signal }, async (api) => {
      const job = await api.job()
      if (job === undefined || job.Stop) return { digest: null, settled: false }
      if (!hasValues(job, this.#config, valuesOf(this.#config, what))) {
        return { digest: digestIn(job, this.#config), settled: false }
      }
      const { sourceDigest: digest } = what.release
      return { digest, settled: (await judge(api, job)).is === 'done' || (await this.#ranBefore(api, job, what)) }
    })
  }

  async deploy(what: Deploy, signal: AbortSignal): Promise<void> {
    const { timeoutMs } = this.#config
    const { clock, redactor } = this.#context
    const late = new AbortController()
    const cancelDeadline = clock.after(timeoutMs, () => late.abort())
    const parts = { redactor, signal: AbortSignal.any([signal, late.signal]) }
    let waitingFor = 'Nomad has not answered'
    try {
      await withNomad(this.#config, parts, (api) =>
        bringJob({
          ...{ api, config: this.#config, values: valuesOf(this.#config, what), signal: parts.signal },
          ...{ isForced: what.isForced, key: what.idempotencyKey, name: this.name, host: this.#host },
          ...{ say: what.say, check: what.check, clock },
          waiting: (why) => (waitingFor = why),
        }),
      )
    } catch (error) {
      signal.throwIfAborted()
      if (!late.signal.aborted) throw error
      const message = `${this.name} took longer than ${formatDuration(timeoutMs)}: ${waitingFor}`
      throw new RemoteError('timeout', message, { host: this.#host, retryable: true })
    } finally {
      cancelDeadline()
    }
  }

  /** What is under way now is somebody else's change of something else: with these values the job ran well before. */
  async #ranBefore(api: NomadApi, job: Job, what: Deploy): Promise<boolean> {
    const values = valuesOf(this.#config, what)
    const versions = (await api.versions()).toSorted((a, b) => b.Version - a.Version)
    const others = versions.findIndex((version) => !hasValues(version, this.#config, values))
    const same = others === -1 ? versions : versions.slice(0, others)
    return same.some(({ Stable, Version }) => Stable && Version !== job.Version)
  }
}
