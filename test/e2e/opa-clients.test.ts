// The three generations of OPA, by HTTP and as an OCI service, all with a bearer token.
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { component, needs } from '../support/components.ts'
import { execOk } from '../support/exec.ts'
import { startLongshore, type Longshore } from '../support/longshore.ts'
import { opaVersions, startOpa, type Opa, type OpaVersion } from '../support/opa.ts'
import { decides, policyFiles, pushPolicy, writeFiles } from '../support/policy.ts'
import { waitFor } from '../support/wait.ts'

const token = 'a-token-of-the-opas'
const pushToken = 'a-token-of-the-pipeline'
const quickly = { min_delay_seconds: 1, max_delay_seconds: 1 }
/** Only a change that is told at once can be seen in time. */
const waiting = { min_delay_seconds: 300, max_delay_seconds: 600, long_polling_timeout_seconds: 600 }
const bundles = ['plain', 'long', 'oci'] as const
const credentials = { bearer: { token } }

needs(
  'opa-1.22.0',
  'opa-1.17.1',
  'opa-1.16.2',
  'oras',
)('OPA', () => {
  let server: Longshore
  const opas = new Map<OpaVersion, Opa>()

  beforeAll(async () => {
    server = await startLongshore({
      headers: { authorization: `Bearer ${pushToken}` },
      config: {
        server: {
          access: {
            tokens: {
              opas: { token, allow: ['read:bundles/*'] },
              ci: { token: pushToken, allow: ['admin'] },
            },
          },
        },
        bundles: Object.fromEntries(
          bundles.map((name) => [name, { store: { type: 'local', repository: `policies/${name}` } }]),
        ),
      },
    })
    await releaseAll('one')
    await Promise.all(
      opaVersions.map(async (version) => {
        opas.set(version, await startOpa({ version, config: opaConfig(server, version) }))
      }),
    )
  })

  afterAll(async () => {
    await Promise.all([...opas.values()].map((opa) => opa.stop()))
    await server?.stop()
  })

  const push = (version: string, name: string, tag = 'latest') =>
    pushPolicy(version, `${server.host}/policies/${name}:${tag}`, { name, env: loggedIn(server) })

  const releaseAll = (version: string) => Promise.all(bundles.map((name) => push(version, name)))

  const everyOpaDecides = (expected: string) =>
    Promise.all([...opas.values()].flatMap((opa) => bundles.map((name) => decides(opa, `${name}/version`, expected))))

  test('loads the bundles, polling, waiting, and as an OCI service', async () => {
    await everyOpaDecides('one')
    for (const opa of opas.values()) {
      for (const name of ['plain', 'long']) expect(await opa.activated(name, 'one')).toMatchObject({ type: 'snapshot' })
      await opa.activated('oci', 'one')
    }
  })

  test('follows a change', async () => {
    await releaseAll('two')
    await everyOpaDecides('two')
  })

  test('rolls on when what was pushed is refused, and follows what comes after', async () => {
    for (const name of bundles) await pushBroken(name)
    for (const name of bundles) {
      await waitFor(
        `the refusal of what was pushed for ${name}`,
        async () => (await server.bundle(name)).look?.outcome === 'refused',
      )
    }
    await everyOpaDecides('two')
    for (const opa of opas.values()) {
      const { bundles: shown = {} } = await opa.status()
      for (const name of bundles) expect(shown[name]).not.toHaveProperty('code')
    }
    await releaseAll('three')
    await everyOpaDecides('three')
  })

  test('goes back when the tag is put back to what it was', async () => {
    const releases = await Promise.all(bundles.map((name) => server.releases(name)))
    for (const [at, name] of bundles.entries()) {
      const two = releases[at]!.find(({ revision }) => revision === 'two')!
      await execOk(component('oras'), ['tag', '--plain-http', `${server.host}/policies/${name}@${two.sourceDigest}`, 'latest'], { env: loggedIn(server) }) // prettier-ignore
    }
    await everyOpaDecides('two')
    expect(await server.releases('long')).toMatchObject([
      { number: 4, revision: 'two', bundleDigest: releases[1]!.find(({ number }) => number === 2)!.bundleDigest },
      { number: 3, revision: 'three' },
      { number: 2, revision: 'two' },
      { number: 1, revision: 'one' },
    ])
  })

  /** An archive that no OPA takes. */
  async function pushBroken(name: string): Promise<void> {
    const folder = writeFiles({ ...policyFiles('broken', name), 'bundle.tar.gz': gzipSync('this is no tar') })
    const layer = 'bundle.tar.gz:application/vnd.oci.image.layer.v1.tar+gzip'
    const reference = `${server.host}/policies/${name}:latest`
    await execOk(component('oras'), ['push', '--plain-http', reference, layer], { cwd: folder, env: loggedIn(server) })
  }
})

needs(
  'opa-1.22.0',
  'opa-1.17.1',
  'opa-1.16.2',
)('OPA that waits', () => {
  test('is answered once for each release, and asks no more than that', async () => {
    const server = await startLongshore({
      config: {
        // Longer than the test takes: who is answered, is answered with news.
        server: { limits: { wait_max: '10m' } },
        bundles: { long: { store: { type: 'local', repository: 'policies/long' } } },
      },
    })
    const push = (version: string) => pushPolicy(version, `${server.host}/policies/long:latest`, { name: 'long' })
    await push('0')
    const opas = await Promise.all(
      opaVersions.map((version) =>
        startOpa({
          version,
          config: {
            services: { longshore: { url: server.url } },
            bundles: { long: { service: 'longshore', polling: waiting } },
          },
        }),
      ),
    )
    const answered = (status: string) => server.metric('longshore_http_requests_total', { route: 'bundles', status })
    const allWait = () =>
      waitFor('every OPA to wait', async () => (await server.metric('longshore_waiting_clients')) === opas.length)
    await Promise.all(opas.map((opa) => decides(opa, 'long/version', '0')))
    await allWait()
    const before = await answered('200')
    expect(before).toBe(opas.length)
    for (const version of ['1', '2', '3', '4']) {
      await push(version)
      await Promise.all(opas.map((opa) => decides(opa, 'long/version', version)))
      await allWait()
    }
    expect(await answered('200')).toBe(5 * opas.length)
    expect(await answered('304')).toBe(0)
    await Promise.all(opas.map((opa) => opa.stop()))
    await waitFor('nobody to wait any more', async () => (await server.metric('longshore_waiting_clients')) === 0)
    await server.stop()
  })

  test('asks again when its time is over, not before', async () => {
    const server = await startLongshore({
      config: {
        server: { limits: { wait_max: '1s' } },
        bundles: { long: { store: { type: 'local', repository: 'policies/long' } } },
      },
    })
    await pushPolicy('0', `${server.host}/policies/long:latest`, { name: 'long' })
    const startedMs = performance.now()
    const opa = await startOpa({
      config: {
        services: { longshore: { url: server.url } },
        bundles: { long: { service: 'longshore', polling: waiting } },
      },
    })
    await decides(opa, 'long/version', '0')
    const answered = () => server.metric('longshore_http_requests_total', { route: 'bundles', status: '304' })
    await waitFor('three answers that there is nothing new', async () => (await answered()) >= 3)
    const elapsedSeconds = (performance.now() - startedMs) / 1000
    expect(await answered()).toBeLessThanOrEqual(elapsedSeconds + 1)
    await pushPolicy('1', `${server.host}/policies/long:latest`, { name: 'long' })
    await decides(opa, 'long/version', '1')
    await opa.stop()
    await server.stop()
  })
})

needs('opa-1.22.0')('an OPA without the right token', () => {
  test.each([
    ['http', 'Unauthorized'],
    ['oci', 'credential'],
  ])('gets nothing by %s, and says why', async (type, why) => {
    const server = await startLongshore({
      headers: { authorization: `Bearer ${pushToken}` },
      config: {
        server: { access: { tokens: { ci: { token: pushToken, allow: ['admin'] } } } },
        bundles: { authz: { store: { type: 'local', repository: 'policies/authz' } } },
      },
    })
    await pushPolicy('one', `${server.host}/policies/authz:latest`, { env: loggedIn(server) })
    const opa = await startOpa({
      config: {
        services: { longshore: { url: server.url, ...(type === 'oci' && { type }), credentials } },
        bundles: {
          authz: { service: 'longshore', ...(type === 'oci' && { resource: `${server.host}/bundles/authz:latest` }) },
        },
      },
    })
    await waitFor('the refusal', async () => (await opa.status()).bundles?.authz?.code === 'bundle_error')
    expect(await opa.query('authz/version')).toBeUndefined()
    expect(JSON.stringify((await opa.status()).bundles)).toContain(why)
    await opa.stop()
    await server.stop()
  })
})

function opaConfig({ url, host }: Longshore, version: OpaVersion): Record<string, unknown> {
  // Since 1.22 it sends the ETags of what it had before, too; a rollback must reach it nevertheless.
  const remembering = version === '1.22.0' ? { superseded_etag_ttl_seconds: 300 } : {}
  return {
    services: { http: { url, credentials }, registry: { url, type: 'oci', credentials } },
    bundles: {
      plain: { service: 'http', polling: { ...quickly, ...remembering } },
      long: { service: 'http', polling: { ...waiting, ...remembering } },
      oci: { service: 'registry', resource: `${host}/bundles/oci:latest`, polling: quickly },
    },
  }
}

/** What docker's config says of somebody who may push. */
function loggedIn({ host }: Longshore): Record<string, string> {
  const auth = Buffer.from(`ci:${pushToken}`).toString('base64')
  return { DOCKER_AUTH_CONFIG: '', DOCKER_CONFIG: writeFiles({ 'config.json': JSON.stringify({ auths: { [host]: { auth } } }) }) } // prettier-ignore
}
