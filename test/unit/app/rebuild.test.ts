import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openStorage, type Storage } from '../../../src/app/storage.ts'
import type { Config } from '../../../src/config/config.ts'
import { Lifecycle } from '../../../src/lib/lifecycle.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { FakeClock } from '../../support/clock.ts'
import { tempDir } from '../../support/temp.ts'
import { load } from '../config/load-text.ts'
import { draft } from '../state/open.ts'
import { descriptor, index, push } from '../registry/open.ts'

const clock = new FakeClock()
let config: Config
let path: string
let storage: Storage
let lifecycle: Lifecycle

beforeEach(async () => {
  config = await load(
    'bundles:\n  authz: { store: { type: local, repository: a } }\n  new: { store: { type: local, repository: b } }\n',
  )
  path = tempDir('rebuild')
  config = { ...config, content: { ...config.content, path } }
  await open()
})

afterEach(() => close())

async function open(rebuild = false): Promise<void> {
  lifecycle = new Lifecycle()
  storage = await openStorage({ config, clock, logger: silentLogger, redactor: new Redactor(), rebuild }, lifecycle)
}

const close = () => lifecycle.close(clock, silentLogger, 10_000)

async function lose(): Promise<void> {
  await close()
  for (const name of readdirSync(path)) if (name.startsWith('state.db')) rmSync(join(path, name))
}

async function release(bundle: string, name: string) {
  const manifest = await push(storage.registry.repository(`bundles/${bundle}`), name)
  const more = { manifestDigest: manifest.digest, sourceDigest: manifest.digest, bundleDigest: digestOf(name) }
  const context = {
    tags: ['latest', name],
    memo: { bundle, fingerprint: name, recipe: 'r' },
    places: [],
    keep: 9,
    at: 1,
  }
  await storage.state.bundles.append(draft(name, { bundle, ...more }), context)
  storage.registry.refreshIndexes()
  return manifest
}

describe('rebuilding the state', () => {
  it('finds the newest release of each bundle, and holds all of them', async () => {
    await release('authz', 'v1')
    const newest = await release('authz', 'v2')
    await release('former', 'v7')
    await push(storage.registry.repository('policies/a'), 'layer', ['x'])
    await lose()
    await clock.advance(5)
    await open(true)
    const { bundles, decisions, catalog } = storage.state
    expect(await bundles.current()).toMatchObject([
      {
        ...{ bundle: 'authz', number: 1, version: 'v2', manifestDigest: newest.digest, bundleDigest: digestOf('v2') },
        ...{ size: 2, activatedAt: clock.now(), kept: true, reason: 'the state was rebuilt from the folder' },
      },
      { bundle: 'former', number: 1, version: 'v7' },
    ])
    expect((await decisions.all()).holds.map(({ bundle }) => bundle)).toEqual(['authz', 'former', 'new'])
    expect((await catalog.manifest('policies/a', 'x'))?.digest).toBeDefined()
    await close()
    await open()
    expect(await storage.state.bundles.current()).toHaveLength(2)
  })

  it('leaves a bundle whose bytes are gone to be fetched anew', async () => {
    await release('authz', 'v1')
    await lose()
    rmSync(join(path, 'blobs/sha256', digestOf('v1').slice(7)))
    await open(true)
    expect(await storage.state.bundles.current()).toEqual([])
    expect((await storage.state.decisions.all()).holds).toHaveLength(2)
  })

  it('leaves alone what is no release that could be served, and finds the others', async () => {
    const repository = (name: string) => storage.registry.repository(`bundles/${name}`)
    const untagged = await push(repository('a-signature-only'), 'x')
    await push(repository('no-bundle'), 'y', ['latest'], { layers: [descriptor('y', 'application/wasm')] })
    const member = await push(repository('an-index'), 'z')
    await repository('an-index').putManifest(index(member), ['latest'])
    await release('authz', 'v1')
    await lose()
    await open(true)
    const { bundles, catalog, decisions } = storage.state
    expect((await bundles.current()).map(({ bundle }) => bundle)).toEqual(['authz'])
    expect((await catalog.manifest('bundles/a-signature-only', untagged.digest))?.digest).toBe(untagged.digest)
    const held = (await decisions.all()).holds.map(({ bundle }) => bundle)
    expect(held).toEqual(['a-signature-only', 'an-index', 'authz', 'new', 'no-bundle'])
  })

  it.each([
    ['is no list', '{"schemaVersion":2,"manifests":{}}'],
    ['has an entry without a digest', '{"schemaVersion":2,"manifests":[{"mediaType":"a/b"}]}'],
    ['has an entry that is none', '{"schemaVersion":2,"manifests":[null]}'],
  ])('refuses a layout whose index %s: taken for less, it would lose what it names', async (_what, text) => {
    await lose()
    mkdirSync(join(path, 'repositories/broken'), { recursive: true })
    writeFileSync(join(path, 'repositories/broken/index.json'), text)
    await expect(open(true)).rejects.toMatchObject({ code: 'corrupt', message: expect.stringMatching(/broken.index/) })
  })

  it('is not done where there is a state', async () => {
    await close()
    await expect(open(true)).rejects.toMatchObject({
      name: 'ConfigError',
      message: expect.stringMatching(/there is one$/),
    })
    await open()
  })

  it('is begun again after it was cut short: half of it would be taken for all', async () => {
    await release('authz', 'v1')
    await lose()
    const broken = join(path, 'repositories/broken')
    mkdirSync(broken)
    writeFileSync(join(broken, 'index.json'), '{"manifests":')
    await expect(open(true)).rejects.toMatchObject({ code: 'corrupt', message: expect.stringMatching(/index\.json/) })
    await close()
    await expect(open()).rejects.toMatchObject({ code: 'corrupt', hint: expect.stringMatching(/--rebuild-state/) })
    await close()
    rmSync(broken, { recursive: true })
    await lose()
    await open(true)
    expect(await storage.state.bundles.current()).toHaveLength(1)
  })

  it('is asked for where the state is gone', async () => {
    await release('authz', 'v1')
    await lose()
    await expect(open()).rejects.toMatchObject({ code: 'corrupt', hint: expect.stringMatching(/--rebuild-state/) })
  })
})
