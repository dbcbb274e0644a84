import { describe, expect, it } from 'vitest'
import { Secret } from '../../../src/lib/secret.ts'
import { FinalError, RemoteError } from '../../../src/lib/errors.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import { createDeployer } from '../../../src/deployers/oci/index.ts'
import type { Deploy } from '../../../src/deployers/deployer.ts'
import type { OciDeployerConfig } from '../../../src/deployers/oci/schema.ts'
import type { Source } from '../../../src/oci/target.ts'
import { deployOf } from '../../conformance/deployer.ts'
import { imageOf, MemoryRepository } from '../../support/repository.ts'

const signal = new AbortController().signal
const repository = 'registry.test/prod/authz'

function open(more: Partial<OciDeployerConfig> = {}) {
  const repositories = new Map<string, MemoryRepository>()
  const logins: unknown[] = []
  const registries = {
    repository: (name: string, login: unknown) => {
      logins.push(login)
      if (!repositories.has(name)) repositories.set(name, new MemoryRepository(name))
      return repositories.get(name)!
    },
  }
  const config = {
    type: 'oci' as const,
    repository,
    tags: ['latest', '{version}'],
    prune: false,
    referrers: true,
    plainHttp: undefined,
  }
  const deployer = createDeployer(
    { ...config, ...more },
    { registries, logger: silentLogger, redactor: new Redactor(), clock: systemClock },
  )
  return { deployer, place: registries.repository(repository, undefined), registries, repositories, logins }
}

describe('taking away', () => {
  const removalOf = (...whats: Awaited<ReturnType<typeof deployOf>>[]) => {
    const said: string[] = []
    const { place, form, path, check } = whats[0]!
    const releases = whats.map(({ release }) => release)
    return { bundle: 'authz', place, form, path, releases, say: (text: string) => said.push(text), check, said }
  }

  it('removes the tags of all releases that were put there, where they still stand for that', async () => {
    const { deployer, place } = open()
    const [one, two] = [await deployOf('one'), await deployOf('two', { number: 2, version: 'v2.0.0' })]
    for (const what of [one, two]) await deployer.deploy(what, signal)
    await place.putManifest(two.raw, ['v1.0.0', 'of-somebody-else'])
    const removal = removalOf(one, two)
    await deployer.remove!(removal, signal)
    expect([...place.tagged.keys()].sort()).toEqual(['of-somebody-else', 'v1.0.0'])
    expect(place.manifests.has(two.raw.digest)).toBe(true)
    expect(removal.said.join()).toContain(`v1.0.0 stays: it stands for ${two.raw.digest} by now`)
  })

  it('is given up at a registry that cannot remove a tag', async () => {
    const { deployer, place } = open()
    const one = await deployOf('one')
    await deployer.deploy(one, signal)
    place.deleteTag = () => Promise.reject(new RemoteError('unsupported', 'cannot delete a tag', { host: 'r' }))
    await expect(deployer.remove!(removalOf(one), signal)).rejects.toEqual(
      new FinalError('cannot delete a tag', { hint: 'Its tags have to be removed there by hand.' }),
    )
  })
})

describe('deployer oci', () => {
  it('gives each release the tags of its templates, with characters that a tag cannot hold replaced', async () => {
    const { deployer, place } = open({ tags: ['latest', '{version}', 'prod-{version}'] })
    const what = await deployOf('one', { version: 'feature/x y' })
    await deployer.deploy(what, signal)
    expect([...place.tagged.keys()]).toEqual(['latest', 'feature-x-y', 'prod-feature-x-y'])
  })

  it.each<[version: string, tags: string[]]>([
    ['v1.4.2', ['r7-authz', 'sha256-DIGEST', '1', '1.4', '1.4.2']],
    ['1.4.2', ['r7-authz', 'sha256-DIGEST', '1', '1.4', '1.4.2']],
    ['v1.4.2-rc.1', ['r7-authz', 'sha256-DIGEST']],
    ['1.2.3-alpine', ['r7-authz', 'sha256-DIGEST']],
    ['2024.06.01', ['r7-authz', 'sha256-DIGEST']],
    ['v2', ['r7-authz', 'sha256-DIGEST']],
    ['latest', ['r7-authz', 'sha256-DIGEST']],
    [`sha256:${'0'.repeat(64)}`, ['r7-authz', 'sha256-DIGEST']],
  ])('gives %s the tags of its numbers, where it has them', async (version, tags) => {
    const { deployer, place } = open({
      tags: ['r{release}-{bundle}', '{digest}', '{major}', '{major}.{minor}', '{major}.{minor}.{patch}'],
    })
    const what = await deployOf('one', { version, number: 7 })
    await deployer.deploy(what, signal)
    const digest = what.raw.digest.slice('sha256:'.length, 'sha256:'.length + 12)
    expect([...place.tagged.keys()]).toEqual(tags.map((tag) => tag.replace('DIGEST', digest)))
    expect(await deployer.observe(what, signal)).toMatchObject({ settled: true })
  })

  it('is not settled before every tag stands for the release', async () => {
    const { deployer, place } = open()
    const what = await deployOf('one')
    await deployer.deploy(what, signal)
    place.tagged.delete('v1.0.0')
    expect(await deployer.observe(what, signal)).toEqual({ digest: what.raw.digest, settled: false })
    place.tagged.delete('latest')
    expect(await deployer.observe(what, signal)).toEqual({ digest: null, settled: false })
  })

  it('puts only the tags that do not stand for the release yet: a crash may have come between two', async () => {
    const { deployer, place } = open({ tags: ['latest', '{version}', 'prod'] })
    const what = await deployOf('one')
    await deployer.deploy(what, signal)
    place.tagged.delete('prod')
    place.log.length = 0
    await deployer.deploy(what, signal)
    const put = place.log.filter((line) => line.startsWith('putManifest')).join(' ')
    expect(put).toContain('prod')
    expect(put).not.toMatch(/latest|v1\.0\.0/)
    expect(await deployer.observe(what, signal)).toMatchObject({ settled: true })
  })

  it('says what it did', async () => {
    const { deployer } = open()
    const said: string[] = []
    const say = (text: string) => void said.push(text)
    await deployer.deploy({ ...(await deployOf('one')), say }, signal)
    const next = await deployOf('other', { version: 'v1.1.0' })
    await deployer.deploy({ ...next, say }, signal)
    expect(said).toEqual([
      '2 blobs sent (5 B), 0 mounted, 0 there already',
      expect.stringMatching(/^sha256:[0-9a-f]{64} is there as latest, v1\.0\.0$/),
      '1 blob sent (5 B), 0 mounted, 1 there already',
      `${next.raw.digest} is there as latest, v1.1.0`,
    ])
  })

  it('asks the place with nothing but HEADs', async () => {
    const { deployer, place } = open()
    await deployer.observe(await deployOf('one'), signal)
    expect(place.log).toEqual(['head latest', 'head v1.0.0'])
  })

  it('sends what the store offered where that is asked for', async () => {
    const { deployer, place } = open()
    const what = await deployOf('packed')
    const source = await imageOf(what.source as MemoryRepository, ['source'])
    const asked: Deploy = {
      ...what,
      form: 'source',
      release: { ...what.release, form: 'repacked', sourceDigest: source.digest },
    }
    await deployer.deploy(asked, signal)
    expect(place.tagged.get('latest')).toBe(source.digest)
    expect(await deployer.observe(asked, signal)).toEqual({ digest: source.digest, settled: true })
  })

  it.each([
    [true, 2],
    [false, 1],
  ])('takes signatures along: %s', async (referrers, manifests) => {
    const { deployer, place } = open({ referrers })
    const what = await deployOf('one')
    await imageOf(what.source as MemoryRepository, ['signature'], { subject: what.raw })
    await deployer.deploy(what, signal)
    expect(place.manifests.size).toBe(manifests)
  })

  it.each([
    ['registry.test/policies', 'original', 2],
    ['elsewhere.test/policies', 'original', 0],
    ['local:policies', 'original', 0],
    ['registry.test/policies', 'repacked', 0],
  ] as const)('mounts from %s what came from there as it is (%s)', async (origin, form, mounted) => {
    const { deployer, place, registries } = open()
    const what = await deployOf('one', { form })
    const asked: (string | undefined)[] = []
    place.mountBlob = async (_descriptor, from: Source) => {
      if (from !== registries.repository(origin, undefined)) return false
      asked.push(from.name)
      return true
    }
    await deployer.deploy({ ...what, origin }, signal)
    expect(asked).toHaveLength(mounted)
    expect(place.log.filter((line) => line.startsWith('putBlob'))).toHaveLength(2 - mounted)
  })

  it('logs in with its own credentials', () => {
    const password = new Secret('hush')
    const { logins } = open({ username: 'ci', password, plainHttp: true })
    expect(logins[0]).toEqual({ username: 'ci', password, plainHttp: true })
  })
})
