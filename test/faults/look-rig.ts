import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Assembler } from '../../src/artifact/assemble.ts'
import { createServing } from '../../src/app/serving.ts'
import { createFolderContent } from '../../src/content/folder.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { Redactor } from '../../src/lib/redact.ts'
import type { Look } from '../../src/model/release.ts'
import type { OciClient } from '../../src/oci/client.ts'
import { digestOf } from '../../src/oci/digest.ts'
import type { Limits } from '../../src/oci/limits.ts'
import { createReconciler } from '../../src/reconcile/reconciler.ts'
import type { Reconciler } from '../../src/reconcile/types.ts'
import { createRegistry } from '../../src/registry/registry.ts'
import type { LocalRepository } from '../../src/registry/types.ts'
import { createStore } from '../../src/stores/oci/index.ts'
import { FakeClock } from '../support/clock.ts'
import { hostileRegistry, putArtifact, type Artifact, type HostileRegistry } from '../support/hostile-registry.ts'
import { tempDir } from '../support/temp.ts'
import { file, tarGz } from '../unit/artifact/support.ts'
import { openInProcess } from '../unit/state/open.ts'
import { startServer } from '../unit/server/support.ts'
import { specOf } from '../unit/reconcile/rig.ts'
import { checkNoSecret, HastyClock, hostileClient, password, username } from './drive.ts'

/** A bundle that is served, from a registry that is about to turn. */
export interface LookRig extends AsyncDisposable {
  folder: string
  registry: HostileRegistry
  client: OciClient
  reconciler: Reconciler
  repository: LocalRepository
  clock: FakeClock
  /** The client's. */
  hasty: HastyClock
  /** The release that is served, as it was pushed. */
  good: Artifact
  look: (trigger?: string) => Promise<Look>
  /** What a client gets over HTTP. */
  served: () => Promise<{ status: number; digest: string; etag: string | null }>
}

export const lookLimits = {
  maxEntries: 100,
  maxUnpackedBytes: 4 * 1024 ** 2,
  maxRatio: 200,
  maxFileBytes: 2 * 1024 ** 2,
}

export function bundleBytes(version: string): Buffer {
  return tarGz(
    file('.manifest', JSON.stringify({ revision: version, roots: ['authz'] })),
    file('policy.rego', `package authz\n\nversion := "${version}"\n`),
  )
}

/** Real state, content, registry, assembler, client and HTTP server; only the other registry is made up. */
export async function openLookRig(assembler: Assembler, clientLimits: Partial<Limits> = {}): Promise<LookRig> {
  const folder = tempDir('hostile')
  const [clock, hasty] = [new FakeClock(), new HastyClock()]
  const registry = await hostileRegistry({ auth: 'basic', username, password, pass: (ms) => hasty.pass(ms) })
  const good = putArtifact(registry, bundleBytes('good'))
  const client = hostileClient(registry, hasty, { auth: 'basic', limits: clientLimits })
  const state = await openInProcess(folder)
  const content = await createFolderContent({ path: folder, logger: silentLogger })
  const own = createRegistry({ content, catalog: state.catalog, clock, logger: silentLogger })
  const server = await startServer()
  const serving = createServing({
    table: server.table,
    content,
    state,
    clock,
    logger: silentLogger,
    maxMemoryBytes: 1e9,
  })
  const reconciler = createReconciler({
    state,
    registry: own,
    assembler,
    clock,
    random: () => 0.5,
    logger: silentLogger,
    redactor: new Redactor(),
    concurrency: 1,
    scratch: content.scratch,
  })
  reconciler.events.on('released', (release) => serving.activate(release))
  await reconciler.start()
  const registries = { repository: (name: string) => client.repository(name) }
  const store = createStore(
    { type: 'oci', repository: registry.name, plainHttp: true },
    { registries, local: (name) => own.repository(name), promotion: undefined as never, logger: silentLogger },
  )
  const schedule = { kind: 'off' } as const
  await reconciler.configure([specOf(store, { schedule, limits: lookLimits })])
  const look = async (trigger = 'request') => {
    const done = await reconciler.look('authz', trigger)
    await serving.settled('authz')
    return done!
  }
  return {
    folder,
    registry,
    client,
    reconciler,
    repository: own.repository('bundles/authz'),
    clock,
    hasty,
    good,
    look,
    async served() {
      const answer = await fetch(`${server.url}/bundles/authz`, { headers: { connection: 'close' } })
      const bytes = Buffer.from(await answer.arrayBuffer())
      return { status: answer.status, digest: digestOf(bytes), etag: answer.headers.get('etag') }
    },
    async [Symbol.asyncDispose]() {
      await client.close()
      await reconciler.close()
      await own.close()
      await content.close()
      await state.close()
      await registry[Symbol.asyncDispose]()
    },
  }
}

/** Before anything goes wrong: the good one is served. */
export async function expectServed(rig: LookRig, artifact: Artifact): Promise<void> {
  expect(await rig.served()).toEqual({
    status: 200,
    digest: artifact.layer.digest,
    etag: `"${artifact.layer.digest}"`,
  })
  expect(await rig.repository.head('latest')).toMatchObject({ digest: artifact.manifest.digest })
}

/** Nothing is left over, and everything that is there is what its name says. */
export function expectClean({ folder }: LookRig): void {
  for (const place of ['scratch', 'ingest']) expect(readdirSync(join(folder, place)), place).toEqual([])
  for (const algorithm of ['sha256', 'sha512']) {
    for (const name of readdirSync(join(folder, 'blobs', algorithm))) {
      const bytes = readFileSync(join(folder, 'blobs', algorithm, name))
      expect(createHash(algorithm).update(bytes).digest('hex')).toBe(name)
    }
  }
}

/** Nobody can get at what was not released. */
export async function expectNothingOf({ repository }: LookRig, bad: Artifact): Promise<void> {
  expect(await repository.head(bad.manifest.digest)).toBeUndefined()
  expect(await Array.fromAsync(repository.tags())).toEqual(['latest'])
}

export function checkLook(look: Look, expected: Pick<Look, 'outcome'> & { code: string; says: string }): void {
  const { outcome, code, message } = look
  expect({ outcome, code }, String(message)).toEqual({ outcome: expected.outcome, code: expected.code })
  expect(message).toContain(expected.says)
  checkNoSecret(JSON.stringify(look))
}
