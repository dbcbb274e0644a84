import { describe, expect, it } from 'vitest'
import { changedSections, diffBundles, recipeOf } from '../../../src/config/changes.ts'
import { load } from './load-text.ts'

const base = {
  registries: { 'ghcr.io': { username: 'a', password: 'first-one' } },
  stores: { shared: { type: 'oci', repository: 'ghcr.io/a/b' } },
  bundles: {
    a: { store: 'shared', deploy: [{ to: 'prod' }] },
    b: { store: { type: 'local', repository: 'x/y' } },
  },
  deployers: { prod: { type: 'oci', repository: 'reg.example/a' } },
}

const changed = (change: (config: typeof base) => object) => load(JSON.stringify(change(structuredClone(base))))
const before = () => load(JSON.stringify(base))

describe('diffBundles', () => {
  it('finds nothing in the same config written another way', async () => {
    const after = await changed(({ bundles, ...rest }) => ({
      bundles: { b: { ...bundles.b, follow: 'latest' }, a: { deploy: bundles.a.deploy, store: 'shared', keep: 10 } },
      ...rest,
    }))
    expect(diffBundles(await before(), after)).toEqual({ added: [], changed: [], removed: [], unchanged: ['b', 'a'] })
  })

  it('finds what came, went and changed', async () => {
    const after = await changed((config) => ({
      ...config,
      bundles: { a: { ...config.bundles.a, keep: 3 }, c: config.bundles.b },
    }))
    expect(diffBundles(await before(), after)).toEqual({ added: ['c'], changed: ['a'], removed: ['b'], unchanged: [] })
  })

  it.each<[string, (config: typeof base) => object, string[]]>([
    ['its store', (c) => ({ ...c, stores: { shared: { type: 'oci', repository: 'ghcr.io/a/c' } } }), ['a']],
    ['its place', (c) => ({ ...c, deployers: { prod: { ...c.deployers.prod, tags: ['x'] } } }), ['a']],
    ['a password', (c) => ({ ...c, registries: { 'ghcr.io': { username: 'a', password: 'second-one' } } }), ['a']],
    [
      'what is said of another registry',
      (c) => ({ ...c, registries: { ...c.registries, 'quay.io': { concurrency: 2 } } }),
      [],
    ],
    [
      'what is said of a part of its registry',
      (c) => ({ ...c, registries: { ...c.registries, 'ghcr.io/x': { plain_http: true } } }),
      ['a'],
    ],
    [
      'what is said of all registries',
      (c) => ({ ...c, registries: { ...c.registries, '*': { concurrency: 2 } } }),
      ['a'],
    ],
    ['a place nobody uses', (c) => ({ ...c, deployers: { ...c.deployers, other: c.deployers.prod } }), []],
    ['a port', (c) => ({ ...c, server: { listen: '127.0.0.1:9' } }), []],
  ])('counts a bundle as changed with %s', async (_what, change, expected) => {
    expect(diffBundles(await before(), await changed(change)).changed).toEqual(expected)
  })
})

describe('what is promoted without being pulled', () => {
  const config = (repository: string) => {
    const bundles = {
      web: { store: { type: 'oci', repository }, pull: false, deploy: [{ to: 'stage' }] },
      prod: { store: { type: 'bundle', from: 'web' }, pull: false, deploy: [{ to: 'job' }] },
    }
    const job = (name: string) => ({ type: 'nomad', job: name, task: 'server' })
    return load(JSON.stringify({ bundles, deployers: { stage: job('stage'), job: job('prod') } }))
  }

  it('changes with where it comes from', async () => {
    const { changed } = diffBundles(await config('reg.example/a'), await config('reg.example/b'))
    expect(changed).toEqual(['web', 'prod'])
    expect(diffBundles(await config('reg.example/a'), await config('reg.example/a')).changed).toEqual([])
  })
})

describe('changedSections', () => {
  it('names what differs', async () => {
    const after = await changed((config) => ({ ...config, server: { listen: '127.0.0.1:9' }, log: { level: 'debug' } }))
    // The folder of each load is another one, and with it the content's path.
    expect(changedSections(await before(), after)).toEqual(['server', 'log', 'content'])
  })
})

describe('recipeOf', () => {
  const recipe = async (keys: object, opa = {}, version = '1') => {
    const bundles = { a: { store: { type: 'local', repository: 'x/y' }, ...keys } }
    const config = await load(JSON.stringify({ bundles, opa }))
    return recipeOf(config.bundles[0]!, config.opa, version)
  }

  it.each<[string, object]>([
    ['follow', { follow: 'other' }],
    ['keep', { keep: 3 }],
    ['schedule', { schedule: '9s' }],
    ['aliases', { aliases: ['/x'] }],
    ['store', { store: { type: 'local', repository: 'other' } }],
  ])('stays with another %s', async (_what, keys) => {
    expect(await recipe(keys)).toBe(await recipe({}))
  })

  it('stays where nothing is pulled, whoever builds and for whatever platform', async () => {
    expect(await recipe({ pull: false, platform: 'linux/arm64' }, { path: 'opa' }, '2')).toBe(
      await recipe({ pull: false }),
    )
  })

  it.each<[string, object, object?, string?]>([
    ['kind', { kind: 'files' }],
    ['platform', { platform: 'linux/arm64' }],
    ['limits', { limits: { max_file: '1MiB' } }],
    ['pull', { pull: false }],
    ['opa', {}, { path: 'opa' }],
    ['builder', {}, {}, '2'],
  ])('changes with another %s', async (_what, keys, opa, version) => {
    expect(await recipe(keys, opa, version)).not.toBe(await recipe({}))
  })
})
