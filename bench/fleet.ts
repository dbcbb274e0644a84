import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStorage, type Storage } from '../src/app/storage.ts'
import { packPush, type Push } from '../src/artifact/push.ts'
import { recipeOf } from '../src/config/changes.ts'
import type { Config } from '../src/config/config.ts'
import { resolveConfig } from '../src/config/resolve.ts'
import { configSchema } from '../src/config/schema.ts'
import { systemClock } from '../src/lib/clock.ts'
import { Lifecycle } from '../src/lib/lifecycle.ts'
import { allOrNone, Limit } from '../src/lib/limit.ts'
import { silentLogger } from '../src/lib/logger.ts'
import { Redactor } from '../src/lib/redact.ts'
import type { LocalRepository } from '../src/registry/types.ts'
import { freePort } from '../test/support/ports.ts'
import { startLongshore, type Longshore } from '../test/support/longshore.ts'
import packageJson from '../package.json' with { type: 'json' }

/** What is only prepared need not outlive a power cut: memory saves the waiting for the disk. */
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
const writers = 8

/** Many bundles, each of which follows the tag of a repository of its own, in one registry. */
export interface Fleet {
  names: string[]
  /** The folder of a longshore that has a release of each, and is not running. */
  folder: string
  /** Its config. */
  config: { bundles: Record<string, unknown> }
  /** A real registry with all of them. */
  startUpstream(): Promise<Longshore>
  remove(): void
}

export interface FleetOptions {
  count: number
  bytesEach: number
  schedule: string
  /** Every so many-th repository has so many tags that are versions, and is followed by a range. */
  tagged?: { every: number; tags: number }
}

/** Both folders are written by our own code, without the ways between them. */
export async function prepareFleet({ count, bytesEach, schedule, tagged }: FleetOptions): Promise<Fleet> {
  const folder = mkdtempSync(join(memory, 'longshore-bench-'))
  const port = await freePort()
  const names = Array.from({ length: count }, (_, at) => `team-${at % 20}/policy-${at}`)
  const repositoryOf = (name: string) => `127.0.0.1:${port}/policies/${name}`
  const versions = Array.from({ length: tagged?.tags ?? 0 }, (_, at) => `v1.${Math.floor(at / 100)}.${at % 100}`)
  const tagsOf = (at: number) => (tagged !== undefined && at % tagged.every === 0 ? versions : ['latest'])
  const bundles = names.map((name, at) => {
    const follow = tagsOf(at) === versions ? { semver: '^1' } : 'latest'
    return [name, { store: { type: 'oci', repository: repositoryOf(name) }, follow, schedule }]
  })
  const config = { bundles: Object.fromEntries(bundles) as Record<string, unknown> }
  const [upstream, ours] = await Promise.all([openFolder(join(folder, 'upstream'), {}), openFolder(folder, config)])
  const limit = new Limit(writers)
  await allOrNone([...names.entries()], ([at, name]) =>
    limit.do(async () => {
      const tags = tagsOf(at)
      const packed = await pack(join(folder, 'source', name), name, bytesEach)
      await put(upstream.storage.registry.repository(`policies/${name}`), packed, tags)
      await release(ours, { name, version: tags.at(-1)! }, packed)
      await packed.close()
    }),
  )
  await upstream.close()
  await ours.close()
  return {
    ...{ names, folder, config },
    startUpstream: () => startLongshore({ folder: join(folder, 'upstream'), port }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

interface Folder {
  config: Config
  storage: Storage
  close(): Promise<void>
}

async function openFolder(folder: string, written: object): Promise<Folder> {
  const lifecycle = new Lifecycle()
  const checked = configSchema.parse({ ...written, content: { path: join(folder, 'data') } })
  const config = resolveConfig(checked, { file: null, folder })
  const parts = { clock: systemClock, logger: silentLogger, redactor: new Redactor() }
  const storage = await openStorage({ config, ...parts }, lifecycle)
  return { config, storage, close: () => lifecycle.close(systemClock, silentLogger, 600_000) }
}

async function pack(source: string, name: string, bytes: number): Promise<Push> {
  const root = name.replaceAll(/[^a-z0-9]/g, '_')
  // Random, so that it is hardly smaller when it is packed.
  const padding = randomBytes((bytes * 3) / 4).toString('base64')
  mkdirSync(source, { recursive: true })
  writeFileSync(join(source, '.manifest'), JSON.stringify({ revision: name, roots: [root] }))
  writeFileSync(join(source, 'policy.rego'), `package ${root}\n\ndefault allow := false\n`)
  writeFileSync(join(source, 'data.json'), JSON.stringify({ [root]: { padding } }))
  return packPush([source])
}

async function put(repository: LocalRepository, { blobs, manifest }: Push, tags: string[]): Promise<void> {
  for (const { descriptor, open } of blobs) await repository.putBlob(descriptor, open)
  await repository.putManifest(manifest, tags)
}

/** What a first look would have left. */
async function release(
  { config, storage }: Folder,
  made: { name: string; version: string },
  packed: Push,
): Promise<void> {
  const { name, version } = made
  const { state, registry } = storage
  await put(registry.repository(`bundles/${name}`), packed, [])
  const { digest } = packed.manifest
  const layer = packed.blobs.find(({ descriptor }) => descriptor.mediaType.endsWith('tar+gzip'))!.descriptor
  const bundle = config.bundles.find((one) => one.name === name)!
  const now = Date.now()
  await state.bundles.append(
    {
      ...{ bundle: name, bundleDigest: layer.digest, size: layer.size, manifestDigest: digest, sourceDigest: digest },
      ...{ form: 'original', version, revision: name, reason: 'first' },
    },
    {
      ...{ tags: ['latest', version], places: [], keep: bundle.keep, at: now },
      memo: { bundle: name, fingerprint: digest, recipe: recipeOf(bundle, config.opa, packageJson.version) },
    },
  )
  await state.bundles.saveLook({
    ...{ bundle: name, startedAt: now, endedAt: now, outcome: 'released', trigger: 'start', version },
    ...{ fingerprint: digest, message: null, code: null, failures: 0, nextAt: null },
  })
}
