import { realpath } from 'node:fs/promises'
import { resolve } from 'node:path'
import { dropFromFolder, lookIntoFolder, putIntoFolder } from '../../artifact/folder/folder.ts'
import type { FolderContent, FolderSpec } from '../../artifact/folder/types.ts'
import { partsOf, type StagePart } from '../../artifact/stage.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Release } from '../../model/release.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Deploy, Deployer, DeployerContext, Observation, Removal } from '../deployer.ts'
import { runCommand } from '../run.ts'
import { servedLayer } from '../served.ts'
import type { DirectoryDeployerConfig } from './schema.ts'
import { sendSignal } from './tell.ts'

export function createDeployer(config: DirectoryDeployerConfig, context: DeployerContext): Deployer {
  return new DirectoryDeployer(config, context)
}

/** A folder of this machine, which some other program reads. */
class DirectoryDeployer implements Deployer {
  readonly name: string
  readonly address: string
  readonly #config: DirectoryDeployerConfig
  readonly #logger: Logger
  readonly #redactor: DeployerContext['redactor']

  constructor(config: DirectoryDeployerConfig, { logger, redactor }: DeployerContext) {
    this.name = config.root
    this.address = config.root
    this.#config = config
    this.#logger = logger
    this.#redactor = redactor
  }

  /** From the ledger, and from what each file is now. */
  async observe(what: Deploy, signal: AbortSignal): Promise<Observation> {
    const held = await lookIntoFolder(this.#folder(what), what.release.bundle, signal)
    if (held === undefined) return { digest: null, settled: false }
    const isSame = held.digest === digestToPut(what) && held.form === what.form
    return { digest: held.digest, settled: isSame && held.isSettled }
  }

  async deploy(what: Deploy, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const folder = this.#folder(what)
    const content: FolderContent = {
      ...{ owner: what.release.bundle, digest: digestToPut(what), form: what.form, limits: what.limits },
      ...{ parts: await partsToPut(what, signal), source: what.source },
      // OPA writes its own bundles so.
      leadingSlash: what.form === 'layers' ? 'refuse' : 'allow',
      mayPut: what.check,
    }
    const { written, removed } = await putIntoFolder(
      folder,
      content,
      () => this.#tell(toldOf(what), { ...folder, cwd: folder.path }, signal),
      signal,
    )
    what.say([...written.map((name) => `wrote ${name}`), ...removed.map((name) => `removed ${name}`)].join('\n'))
    this.#logger.debug({ bundle: what.release.bundle, written, removed }, `${folder.path} was brought up to date`)
  }

  /** What the ledger says is the bundle's. Whoever reads the folder is told, as after any other change. */
  async remove(what: Removal, signal: AbortSignal): Promise<void> {
    const folder = this.#folder(what)
    const { bundle, movedTo, say, check } = what
    await check()
    if (movedTo !== undefined && (await isOneFolder(folder.path, this.#folder(movedTo).path))) return
    const tell = () => this.#tell({ bundle, say, check }, { ...folder, cwd: '/' }, signal)
    const removed = await dropFromFolder(folder, what.bundle, tell, signal)
    what.say(
      removed.length === 0 ? `nothing of ${what.bundle} is there` : removed.map((name) => `removed ${name}`).join('\n'),
    )
  }

  #folder({ path }: Pick<Deploy, 'path'>): FolderSpec {
    const { root, mode, fileMode, folderMode, uid = null, gid = null } = this.#config
    const full = resolve(root, path ?? '.')
    const isBelow = full === root || full.startsWith(root === '/' ? root : `${root}/`)
    return { path: full, within: isBelow ? root : null, mode, fileMode, folderMode, uid, gid }
  }

  /** Without a release nothing is there any more. */
  async #tell(
    { bundle, release, say, check }: Told,
    { path, cwd }: { path: string; cwd: string },
    signal: AbortSignal,
  ): Promise<void> {
    await check()
    const { command, commandTimeoutMs: timeoutMs, signal: name, pidFile } = this.#config
    const env = {
      LONGSHORE_BUNDLE: bundle,
      LONGSHORE_VERSION: release?.version ?? '',
      LONGSHORE_DIGEST: release?.manifestDigest ?? '',
      LONGSHORE_FOLDER: path,
    }
    if (command !== undefined) {
      const output = await runCommand(command, { cwd, env, timeoutMs, redactor: this.#redactor, signal })
      say(`${command[0]} ended well\n${output}`)
    }
    if (name !== undefined && pidFile !== undefined) {
      await sendSignal(name, pidFile)
      say(`sent ${name} to the process in ${pidFile}`)
    }
  }
}

interface Told extends Pick<Deploy, 'say' | 'check'> {
  bundle: string
  release?: Release
}

function toldOf({ release, say, check }: Deploy): Told {
  return { bundle: release.bundle, release, say, check }
}

/** Written in two ways, or by a link. */
async function isOneFolder(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([one, other].map((path) => realpath(path).catch(() => resolve(path))))
  return a === b
}

/** Layers are those of what the store offered: what was packed here has one. */
function digestToPut({ release, form }: Deploy): Digest {
  return form === 'layers' ? release.sourceDigest : release.manifestDigest
}

async function partsToPut(what: Deploy, signal: AbortSignal): Promise<StagePart[]> {
  const { release, form, source } = what
  if (form === 'layers') return partsOf(await source.manifest(digestToPut(what), signal), 'refuse')
  const layer = await servedLayer(what, signal)
  if (form === 'tarball') return [{ type: 'file', layer, path: `${release.bundle}.tar.gz` }]
  return [{ type: 'archive', layer, within: '' }]
}
