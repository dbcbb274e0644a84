// What CoreDNS's `oci` plugin was used for, all of it at once: several repositories of real registries, private and public, each as files
// in a place of its own, read there by a real CoreDNS.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { component, needs } from '../support/components.ts'
import { startCoredns, type Coredns } from '../support/coredns.ts'
import { startCountingProxy, type CountingProxy } from '../support/counting-proxy.ts'
import { execOk } from '../support/exec.ts'
import { startLongshore, type Longshore } from '../support/longshore.ts'
import { writeFiles } from '../support/policy.ts'
import { startDistributionV3, startOlareg, type Registry } from '../support/registries.ts'
import { blobOf, imageOf } from '../support/repository.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'
import { zone } from '../support/zones.ts'
import { openRepository } from './artifact-support.ts'

const [user, password] = ['ci', 'hush-hush-hush']
const schedule = '300ms'

needs(
  'coredns',
  'distribution',
  'olareg',
  'oras',
)('the work of an artifact puller', () => {
  const root = tempDir('site')
  const elsewhere = join(tempDir('elsewhere'), 'zones')
  let [hidden, open]: Registry[] = []
  let proxy: CountingProxy
  let server: Longshore
  let dns: Coredns

  const bundle = (repository: string, more: object) => ({ kind: 'files', store: { type: 'oci', repository, ...more } })
  const bundles = () => ({
    // `oci REPO PATH` with a username and a password, the tag being latest
    internal: {
      ...bundle(`${proxy.host}/acme/zones`, { username: user, password }),
      ...{ schedule, deploy: [{ to: 'site', path: 'internal' }] },
    },
    // `oci REPO:TAG PATH`, absolute
    away: {
      ...bundle(`${open!.host}/acme/away`, {}),
      follow: 'stable',
      schedule,
      deploy: [{ to: 'site', path: elsewhere }],
    },
    // `oci REPO`: into the root itself
    top: { ...bundle(`${open!.host}/acme/top`, {}), schedule, deploy: [{ to: 'site' }] },
  })
  const configOf = (some: Record<string, unknown>) => ({
    bundles: some,
    deployers: { site: { type: 'directory', root } },
  })

  /** As its users do it. A folder becomes a layer that is marked for unpacking. */
  async function push(reference: string, files: Record<string, string>, paths = Object.keys(files)): Promise<void> {
    const login = reference.startsWith(hidden!.host) ? ['--username', user, '--password', password] : []
    await execOk(component('oras'), ['push', '--plain-http', ...login, reference, ...paths], { cwd: writeFiles(files) })
  }

  const answers = (block: string, name: string, expected: string) =>
    waitFor(`${block} to answer ${name} by ${expected}`, async () => (await dns.text(block, name)) === expected)

  beforeAll(async () => {
    ;[hidden, open] = await Promise.all([startDistributionV3({ users: { [user]: password } }), startOlareg()])
    proxy = await startCountingProxy(hidden)
    await push(`${hidden.host}/acme/zones:latest`, {
      'db.example.org': zone('example.org', 1),
      'db.example.net': zone('example.net', 1),
    })
    await push(`${open.host}/acme/away:stable`, { 'away/db.example.com': zone('example.com', 1) }, ['away'])
    await push(`${open.host}/acme/top:latest`, { 'db.top.test': zone('top.test', 1) })
    server = await startLongshore({ config: configOf(bundles()) })
    const auto = (path: string) => ['auto {', `  directory ${path}`, '  reload 100ms', '}']
    dns = await startCoredns({
      internal: auto(join(root, 'internal')),
      away: auto(elsewhere),
      top: [`file ${root}/db.top.test top.test {`, '  reload 100ms', '}'],
    })
  }, 60_000)
  afterAll(async () => {
    for (const one of [dns, server, proxy, hidden, open]) await one?.stop()
  })

  test('each is pulled at the start into its own path, and its folders are unpacked there', async () => {
    await answers('internal', 'version.example.org', '1')
    await answers('internal', 'version.example.net', '1')
    await answers('away', 'version.example.com', '1')
    await answers('top', 'version.top.test', '1')
    expect(existsSync(join(elsewhere, 'away/db.example.com'))).toBe(true)
  })

  test('then at each interval: what is new is served, what the older one had is gone, and nothing else comes again', async () => {
    await push(`${hidden!.host}/acme/zones:latest`, { 'db.example.org': zone('example.org', 2) })
    await answers('internal', 'version.example.org', '2')
    await answers('internal', 'version.example.net', 'EREFUSED')
    await answers('top', 'version.top.test', '1')
    const looks = () => server.metric('longshore_looks_total', { bundle: 'internal', outcome: 'unchanged' })
    const [before, { length }] = [await looks(), proxy.passed]
    await waitFor('three looks more', async () => (await looks()) >= before + 3)
    const asked = new Set(proxy.passed.slice(length).map(({ method, status }) => `${method} ${status}`))
    // The registry asks who we are now and then.
    asked.delete('HEAD 401')
    expect([...asked]).toEqual(['HEAD 200'])
  })

  test('an artifact with an untitled layer is an error, and the zone that was there stays', async () => {
    const folder = writeFiles({ 'db.top.test': zone('top.test', 2) })
    await execOk('tar', ['czf', 'layer.tar.gz', 'db.top.test'], { cwd: folder })
    const bytes = readFileSync(join(folder, 'layer.tar.gz'))
    const layer = { ...blobOf(bytes, 'application/vnd.oci.image.layer.v1.tar+gzip') }
    const repository = openRepository(open!.host, 'acme/top')
    await repository.putBlob(layer, () => Readable.from([bytes]))
    await imageOf(repository, [], { layers: [layer], tags: ['latest'] })
    await repository.close()
    const why = await waitFor('the error', async () => {
      return (await server.bundle('top')).deployments[0]!.lastError ?? undefined
    })
    expect(why).toMatch(/ has no title, so nobody knows what its file is called/)
    expect(await dns.text('top', 'version.top.test')).toBe('1')
    expect(readFileSync(join(root, 'db.top.test'), 'utf8')).toBe(zone('top.test', 1))
  })

  test('a registry that fails for a while is asked again, and loses nothing', async () => {
    proxy.meddle({ refuse: () => 503 })
    await waitFor('a look that fails', async () => (await server.bundle('internal')).look?.outcome === 'failed')
    expect(await dns.text('internal', 'version.example.org')).toBe('2')
    proxy.meddle({})
    await push(`${hidden!.host}/acme/zones:latest`, { 'db.example.org': zone('example.org', 3) })
    await answers('internal', 'version.example.org', '3')
  })

  test('what a reload takes out is asked for no more, while the others go on', async () => {
    const { internal: _, ...others } = bundles()
    server.writeConfig(configOf(others))
    expect((await server.reload()).status).toBe(200)
    const { length } = proxy.passed
    const looks = () => server.metric('longshore_looks_total', { bundle: 'away', outcome: 'unchanged' })
    const before = await looks()
    await waitFor('looks at another', async () => (await looks()) >= before + 5)
    expect(proxy.passed.slice(length)).toEqual([])
    expect(await dns.text('internal', 'version.example.org')).toBe('3')
    expect(server.process.output()).not.toContain(password)
  })
})
