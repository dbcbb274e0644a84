// A changed config, taken up while running.
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import { needs } from '../support/components.ts'
import { startLongshore, type Longshore, type LongshoreOptions } from '../support/longshore.ts'
import { digestAt } from '../support/digest-at.ts'
import { pushPolicy } from '../support/policy.ts'
import { startDistributionV3, startOlareg } from '../support/registries.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

const running: { stop(): Promise<void> }[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()))
})

async function start(options: LongshoreOptions): Promise<Longshore> {
  const server = await startLongshore(options)
  running.push(server)
  return server
}

/** A bundle of each name that follows `policies/NAME`. */
function local(...names: string[]): Record<string, object> {
  return Object.fromEntries(names.map((name) => [name, { store: { type: 'local', repository: `policies/${name}` } }]))
}

async function release(server: Longshore, name: string, version: string): Promise<void> {
  await pushPolicy(version, `${server.host}/policies/${name}:latest`, { name })
  await server.look(name)
  expect((await server.bundle(name)).current?.revision).toBe(version)
}

async function reload(server: Longshore, config: Record<string, unknown>): Promise<Record<string, unknown>> {
  server.writeConfig(config)
  const answer = await server.reload()
  expect(answer.status).toBe(200)
  return (await answer.json()) as Record<string, unknown>
}

const looks = (server: Longshore, bundle: string) => server.metric('longshore_looks_total', { bundle })

describe('a changed config', () => {
  test('is taken up; a bundle that did not change is not touched, and who waits for it waits on', async () => {
    const server = await start({ config: { bundles: local('kept') } })
    await release(server, 'kept', 'one')
    const { headers } = await server.fetch('/bundles/kept')
    const wait = server.fetch('/bundles/kept', {
      headers: { prefer: 'modes=snapshot,delta;wait=50', 'if-none-match': headers.get('etag')! },
    })
    await waitFor('the client to wait', async () => (await server.metric('longshore_waiting_clients')) === 1)
    const before = await looks(server, 'kept')

    const changes = await reload(server, { bundles: local('added', 'kept') })
    expect(changes).toEqual({ added: ['added'], changed: [], removed: [] })
    expect(await looks(server, 'kept')).toBe(before)
    expect(await server.metric('longshore_waiting_clients')).toBe(1)
    await release(server, 'added', 'first')
    await release(server, 'kept', 'two')
    const answered = await wait
    expect(answered.status).toBe(200)
    expect(answered.headers.get('etag')).not.toBe(headers.get('etag'))
  })

  test('is taken up on SIGHUP', async () => {
    const server = await start({ config: { bundles: local('one') } })
    server.writeConfig({ bundles: local('one', 'two') })
    process.kill(server.process.pid, 'SIGHUP')
    await waitFor('the new bundle', async () => (await server.fetch('/bundles/two')).status === 503)
    await server.logged({ msg: 'config reloaded' })
  })

  test('that is bad is refused as a whole, with every error, and the running one goes on', async () => {
    const server = await start({ config: { bundles: local('authz') } })
    await release(server, 'authz', 'one')
    const before = await looks(server, 'authz')
    server.writeConfig({
      bundles: { ...local('new'), authz: { store: 'nobody', folow: 'latest' } },
      deployers: { prod: { type: 'oci', repository: 'NOT A REPOSITORY' } },
    })
    const answer = await server.reload()
    expect(answer.status).toBe(422)
    const { problems } = (await answer.json()) as { problems: { key: string; line: number }[] }
    expect(problems.map(({ key }) => key).sort()).toEqual([
      'bundles.authz.folow',
      'bundles.authz.store',
      'deployers.prod.repository',
    ])
    expect(problems.every(({ line }) => line > 0)).toBe(true)

    process.kill(server.process.pid, 'SIGHUP')
    const line = await waitFor('the refusal in the log', () =>
      server.log().find(({ level, msg }) => level === 50 && String(msg).includes('folow')),
    )
    for (const { key } of problems) expect(line.msg).toContain(key)

    writeFileSync(server.configFile, '{ "bundles": ')
    expect((await server.reload()).status).toBe(422)
    renameSync(server.configFile, `${server.configFile}.away`)
    expect((await server.reload()).status).toBe(422)

    expect((await server.fetch('/bundles/new')).status).toBe(404)
    expect((await server.fetch('/bundles/authz')).status).toBe(200)
    expect(await looks(server, 'authz')).toBe(before)
    await release(server, 'authz', 'two')
  })

  test('says what of it needs a restart', async () => {
    const server = await start({ config: { bundles: local('authz') } })
    await reload(server, { bundles: local('authz'), log: { level: 'debug' } })
    await waitFor('the warning', () =>
      server.log().some(({ level, sections }) => level === 40 && isDeepStrictEqual(sections, ['log'])),
    )
  })

  test('of who may do what holds from the next request on', async () => {
    const server = await start({
      config: { bundles: local('authz') },
      headers: { authorization: 'Bearer the-token-of-ci' },
    })
    await release(server, 'authz', 'one')
    const tokens = { ci: { token: 'the-token-of-ci', allow: ['admin'] } }
    await reload(server, { bundles: local('authz'), server: { access: { tokens } } })
    const as = (authorization: string) => server.fetch('/bundles/authz', { headers: { authorization } })
    expect((await as('')).status).toBe(401)
    expect((await as('Bearer the-token-of-ci')).status).toBe(200)
    await reload(server, { bundles: local('authz'), server: { access: { tokens, anonymous: 'read' } } })
    expect((await as('')).status).toBe(200)
  })
})

needs('olareg')('a bundle that leaves the config', () => {
  test('is not served any more, what it deployed stays, and back again it goes on where it was', async () => {
    const place = await startOlareg()
    running.push(place)
    const deployers = { prod: { type: 'oci', repository: `${place.host}/prod/authz` } }
    const authz = { ...local('authz').authz, deploy: [{ to: 'prod' }] }
    const server = await start({ config: { bundles: { authz }, deployers } })
    await release(server, 'authz', 'one')
    await release(server, 'authz', 'two')
    const atPlace = () => digestAt(place, 'prod/authz', 'latest')
    const { current } = await server.bundle('authz')
    await waitFor('the deployment', async () => (await atPlace()) === current!.manifestDigest)
    const { headers } = await server.fetch('/bundles/authz')
    const waiting = server.fetch('/bundles/authz', {
      headers: { prefer: 'wait=50', 'if-none-match': headers.get('etag')! },
    })
    await waitFor('the client to wait', async () => (await server.metric('longshore_waiting_clients')) === 1)

    expect(await reload(server, { bundles: {}, deployers })).toMatchObject({ removed: ['authz'] })
    expect((await waiting).status).toBe(404)
    expect((await server.fetch('/bundles/authz')).status).toBe(404)
    expect((await server.fetch('/api/v1/bundles/authz')).status).toBe(404)
    expect((await server.fetch('/v2/bundles/authz/manifests/latest')).status).toBe(404)
    expect(await (await server.fetch('/v2/_catalog')).json()).toEqual({ repositories: ['policies/authz'] })
    expect(await atPlace()).toBe(current!.manifestDigest)
    await pushPolicy('while-away', `${server.host}/policies/authz:latest`)

    const begun = await reload(server, { bundles: { authz }, deployers })
    expect(begun).toMatchObject({ added: ['authz'] })
    expect((await server.fetch('/v2/bundles/authz/manifests/latest')).status).toBe(200)
    expect(await server.look('authz')).toMatchObject({ outcome: 'released' })
    expect((await server.releases('authz')).map(({ number, revision }) => [number, revision])).toEqual([
      [3, 'while-away'],
      [2, 'two'],
      [1, 'one'],
    ])
    await waitFor('it to be deployed', async () => (await server.bundle('authz')).deployments[0]?.deployed === 3)
  })

  test('back again without news, it is served at once and deployed no second time', async () => {
    const server = await start({ config: { bundles: local('authz') } })
    await release(server, 'authz', 'one')
    await reload(server, { bundles: {} })
    await reload(server, { bundles: local('authz') })
    expect((await server.fetch('/bundles/authz')).status).toBe(200)
    expect(await server.releases('authz')).toHaveLength(1)
  })

  test('a changed place gets what is current', async () => {
    const place = await startOlareg()
    running.push(place)
    const config = (repository: string) => ({
      bundles: { authz: { ...local('authz').authz, deploy: [{ to: 'prod' }] } },
      deployers: { prod: { type: 'oci', repository: `${place.host}/${repository}` } },
    })
    const server = await start({ config: config('prod/one') })
    await release(server, 'authz', 'one')
    const isAt = (repository: string) =>
      waitFor(`a deployment to ${repository}`, () => digestAt(place, repository, 'latest'))
    await isAt('prod/one')
    await reload(server, config('prod/two'))
    await isAt('prod/two')
  })
})

needs('distribution')("changed credentials of the config's registries", () => {
  test('count from the reload on', async () => {
    const upstream = await startDistributionV3({ users: { ci: 'the right password' } })
    running.push(upstream)
    const docker = tempDir('docker')
    const auth = Buffer.from('ci:the right password').toString('base64')
    writeFileSync(join(docker, 'config.json'), JSON.stringify({ auths: { [upstream.host]: { auth } } }))
    const push = (version: string) =>
      pushPolicy(version, `${upstream.host}/acme/policies:latest`, { env: { DOCKER_CONFIG: docker } })
    await push('one')
    const config = (password: string) => ({
      bundles: { authz: { store: { type: 'oci', repository: `${upstream.host}/acme/policies` }, schedule: 'off' } },
      registries: { [upstream.host]: { username: 'ci', password } },
    })
    const server = await start({ config: config('a wrong password') })
    const { look } = await waitFor('the first look', async () => {
      const status = await server.bundle('authz')
      return status.look !== null && status
    })
    expect(look).toMatchObject({ outcome: 'failed', code: 'unauthorized' })
    expect(look!.message).toContain(upstream.host)

    await reload(server, config('the right password'))
    await waitFor('the first release', async () => (await server.bundle('authz')).current?.revision === 'one')
    await reload(server, config('a wrong password'))
    await push('two')
    expect(await server.look('authz')).toMatchObject({ outcome: 'failed', code: 'unauthorized' })
    expect((await server.fetch('/bundles/authz')).status).toBe(200)
    expect(server.process.output()).not.toContain('password')
  })
})
