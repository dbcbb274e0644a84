// TLS on both sides: what we serve, and the registries that we read.
import { X509Certificate } from 'node:crypto'
import { copyFileSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { createCertificates, type Certificates } from '../support/certs.ts'
import { component, needs } from '../support/components.ts'
import { exec, execOk } from '../support/exec.ts'
import { startLongshore, type Longshore, type LongshoreOptions } from '../support/longshore.ts'
import { startOpa } from '../support/opa.ts'
import { decides, policyFiles, pushPolicy, writeFiles } from '../support/policy.ts'
import { startDistributionV3, type Registry } from '../support/registries.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

const authz = { store: { type: 'local', repository: 'policies/authz' } }
const running: { stop(): Promise<void> }[] = []
/** Files that may change are looked at every ten seconds. */
const noticed = { intervalMs: 100 }

let certificates: Certificates
let renewed: Certificates

beforeAll(async () => {
  ;[certificates, renewed] = await Promise.all([createCertificates(), createCertificates(tempDir('renewed'))])
})

afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()))
})

async function start(options: LongshoreOptions): Promise<Longshore> {
  const server = await startLongshore(options)
  running.push(server)
  return server
}

/** With the artifact that `oras push` makes, as who the client certificate says, if any. */
async function orasPush(
  server: Longshore,
  version: string,
  certs: Certificates,
  asClient: boolean,
): Promise<number | null> {
  const folder = writeFiles(policyFiles(version))
  await execOk('tar', ['-czf', 'bundle.tar.gz', '.manifest', 'policy.rego'], { cwd: folder })
  const { cert, key } = certs.client
  const tls = ['--ca-file', certs.ca, ...(asClient ? ['--cert-file', cert, '--key-file', key] : [])]
  const layer = 'bundle.tar.gz:application/vnd.oci.image.layer.v1.tar+gzip'
  const args = ['push', ...tls, `${server.host}/policies/authz:latest`, layer]
  return (await exec(component('oras'), args, { cwd: folder, env: { DOCKER_CONFIG: folder } })).code
}

function fingerprintOf(port: number, ca: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connect({ host: '127.0.0.1', port, ca: readFileSync(ca), rejectUnauthorized: false }, () => {
    resolve(socket.getPeerCertificate().fingerprint256)
    socket.destroy()
  })
  socket.once('error', reject)
  return promise
}

needs(
  'opa-1.22.0',
  'opa-1.17.1',
  'oras',
)('serving TLS', () => {
  test.each([
    ['that trusts our CA', false],
    ['that shows a certificate, where client_ca asks for one', true],
  ])('to an OPA %s, by HTTP and by OCI', async (_what, asClient) => {
    const { ca, server: own, client } = certificates
    const server = await start({
      tls: { ca, ...(asClient && client) },
      config: { server: { tls: { ...own, ...(asClient && { client_ca: ca }) } }, bundles: { authz } },
    })
    expect(await orasPush(server, 'one', certificates, asClient)).toBe(0)
    if (asClient) expect(await orasPush(server, 'nobody', certificates, false)).not.toBe(0)
    const credentials = { client_tls: { cert: client.cert, private_key: client.key } }
    for (const type of ['http', 'oci']) {
      const service = {
        url: server.url,
        tls: { ca_cert: ca },
        ...(type === 'oci' && { type }),
        ...(asClient && { credentials }),
      }
      const resource = type === 'oci' ? `${server.host}/bundles/authz:latest` : 'bundles/authz'
      const opa = await startOpa({
        config: { services: { longshore: service }, bundles: { authz: { service: 'longshore', resource } } },
      })
      await decides(opa, 'authz/version', 'one')
      await opa.stop()
    }
  })

  test('with new files, without a restart', async () => {
    const folder = tempDir('tls')
    const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
    /** As a program that renews certificates does: aside, then renamed. */
    const put = (from: string, to: string) => {
      copyFileSync(from, `${to}.new`)
      renameSync(`${to}.new`, to)
    }
    put(certificates.server.cert, files.cert)
    put(certificates.server.key, files.key)
    const server = await start({ tls: { ca: certificates.ca }, config: { server: { tls: files }, bundles: { authz } } })
    const [before, after] = [certificates, renewed].map(
      ({ server: { cert } }) => new X509Certificate(readFileSync(cert)).fingerprint256,
    )
    expect(await fingerprintOf(server.port, renewed.ca)).toBe(before)
    put(renewed.server.cert, files.cert)
    put(renewed.server.key, files.key)
    await waitFor('the new certificate', async () => (await fingerprintOf(server.port, renewed.ca)) === after, noticed)
  })
})

needs('distribution')('a registry behind TLS', () => {
  test('is read with `ca` and our certificate; without, nothing comes, and the reason is told', async () => {
    const { ca, server: own, client } = certificates
    const registry = await startDistributionV3({ tls: { ...own, clientCa: ca } })
    running.push(registry)
    const settings = { ca, cert: client.cert, key: client.key }
    await push(registry, 'one', settings)
    const config = (known: object) => ({
      bundles: { authz: { store: { type: 'oci', repository: `${registry.host}/acme/policies` }, schedule: 'off' } },
      registries: { [registry.host]: known },
    })
    const server = await start({ config: config({ plain_http: false }) })
    expect(await server.look('authz')).toMatchObject({
      outcome: 'failed',
      message: expect.stringMatching(/certificate/) as string,
    })
    server.writeConfig(config({ ca }))
    await server.reload()
    // The registry hangs up; TLS 1.3 has no word for why.
    expect(await server.look('authz')).toMatchObject({ outcome: 'failed', code: 'network' })
    server.writeConfig(config(settings))
    await server.reload()
    expect((await server.look('authz')).outcome).toMatch(/released|unchanged/)
    expect((await server.bundle('authz')).current).toMatchObject({ revision: 'one' })
  })

  test('is read with renewed files after a reload, though the config says the same', async () => {
    const files = writeFiles({ 'ca.pem': readFileSync(renewed.ca) })
    const ca = join(files, 'ca.pem')
    const registry = await startDistributionV3({ tls: certificates.server })
    running.push(registry)
    await push(registry, 'one', { ca: certificates.ca })
    const server = await start({
      config: {
        bundles: { authz: { store: { type: 'oci', repository: `${registry.host}/acme/policies` }, schedule: 'off' } },
        registries: { [registry.host]: { ca } },
      },
    })
    expect(await server.look('authz')).toMatchObject({ outcome: 'failed' })
    copyFileSync(certificates.ca, ca)
    expect((await server.reload()).status).toBe(200)
    await waitFor('the release', async () => (await server.bundle('authz')).current?.revision === 'one')
  })

  async function push({ host }: Registry, version: string, settings: object): Promise<void> {
    const config = writeFiles({ 'longshore.yaml': JSON.stringify({ registries: { [host]: settings } }) })
    await pushPolicy(version, `${host}/acme/policies:latest`, {
      env: { LONGSHORE_CONFIG: join(config, 'longshore.yaml') },
    })
  }
})
