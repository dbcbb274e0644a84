import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Deploy, Deployer, DeployerContext } from '../deployer.ts'
import { runCommand } from '../run.ts'
import { servedLayer } from '../served.ts'
import { textsOf } from '../values.ts'
import type { CommandDeployerConfig } from './schema.ts'

export function createDeployer(config: CommandDeployerConfig, context: DeployerContext): Deployer {
  return new CommandDeployer(config, context)
}

/** A program that puts a release wherever it likes: told by its environment what, and again with the same key if it fails. */
class CommandDeployer implements Deployer {
  readonly name: string
  readonly address: string
  readonly #config: CommandDeployerConfig
  readonly #context: DeployerContext

  constructor(config: CommandDeployerConfig, context: DeployerContext) {
    const [program = ''] = config.command
    this.name = program
    this.address = program
    this.#config = config
    this.#context = context
  }

  /** Only the program knows. */
  observe(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  async deploy(what: Deploy, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (!this.#config.file) return this.#run(what, {}, signal)
    // For nobody else's eyes: a bundle may hold what only its readers may know.
    const folder = await mkdtemp(join(tmpdir(), 'longshore-'))
    try {
      const path = join(folder, 'bundle.tar.gz')
      const layer = await servedLayer(what, signal)
      await pipeline(what.source.blob(layer, signal), createWriteStream(path, { flags: 'wx', mode: 0o600 }), { signal })
      await this.#run(what, { LONGSHORE_FILE: path }, signal)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  async #run(what: Deploy, more: Record<string, string>, signal: AbortSignal): Promise<void> {
    const { command, cwd, timeoutMs, giveUp, env: own } = this.#config
    const { logger, redactor } = this.#context
    const env = { ...(await textsOf(own)), ...environmentOf(what), ...more }
    await what.check()
    const output = await runCommand(command, { cwd, env, timeoutMs, giveUp, redactor, signal })
    what.say(`${this.name} ended well\n${output}`)
    logger.info({ bundle: what.release.bundle, release: what.release.number, output }, `${this.name} ended well`)
  }
}

function environmentOf({ release, place, origin, isForced, idempotencyKey }: Deploy): Record<string, string> {
  return {
    LONGSHORE_BUNDLE: release.bundle,
    LONGSHORE_PLACE: place,
    LONGSHORE_RELEASE: String(release.number),
    LONGSHORE_REPOSITORY: origin,
    LONGSHORE_VERSION: release.version,
    LONGSHORE_DIGEST: release.manifestDigest,
    LONGSHORE_SOURCE_DIGEST: release.sourceDigest,
    LONGSHORE_BUNDLE_DIGEST: release.bundleDigest ?? '',
    LONGSHORE_KEY: idempotencyKey,
    LONGSHORE_FORCED: String(isForced),
  }
}
