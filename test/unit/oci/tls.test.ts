import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createPlainServer, type Server as PlainServer } from 'node:http'
import { createServer, type Server, type ServerOptions } from 'node:https'
import { connect, type AddressInfo } from 'node:net'
import tls, { type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Dispatchers } from '../../../src/oci/dispatchers.ts'
import { createCertificates, type Certificates } from '../../support/certs.ts'
import { blobOf, bytesOf, failureOf, testClient } from './setup.ts'

const blob = Buffer.from('blob')
let certificates: Certificates
let ca: string
const servers: (Server | PlainServer)[] = []

beforeAll(async () => {
  certificates = await createCertificates()
  ca = read(certificates.ca)
})
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

function read(path: string): string {
  return readFileSync(path, 'utf8')
}

/** Answers with `blob`, or a redirect; remembers who came. */
async function httpsServer(options: ServerOptions = {}, location?: string, challenge?: string) {
  const { cert, key } = certificates.server
  const clients: (string | undefined)[] = []
  const server = createServer({ cert: read(cert), key: read(key), ...options }, (request, response) => {
    const peer = (request.socket as TLSSocket).getPeerCertificate()
    clients.push(typeof peer.subject?.CN === 'string' ? peer.subject.CN : undefined)
    if (challenge !== undefined) response.writeHead(401, { 'www-authenticate': challenge }).end()
    else if (location !== undefined) response.writeHead(307, { location }).end()
    else response.end(blob)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  servers.push(server)
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, clients }
}

describe('HTTPS', () => {
  it('trusts an authority of our own where it was told to', async () => {
    const { host } = await httpsServer()
    await using t = testClient({ registries: { [host]: { ca } } })
    expect(await bytesOf(t.client.repository(`${host}/acme/app`).blob(blobOf(blob)))).toEqual(blob)
  })

  it('trusts nobody else, does not try again, and says what to set', async () => {
    const { host, clients } = await httpsServer()
    await using t = testClient({ registries: { [host]: { plainHttp: false } } })
    const error = await failureOf(t.client.repository(`${host}/acme/app`).hasBlob(blobOf(blob)))
    expect(error).toMatchObject({
      code: 'network',
      retryable: false,
      message: expect.stringMatching(/: nobody whom we trust signed its certificate \([A-Z_]+\)$/) as string,
      hint: expect.stringContaining('set ca') as string,
    })
    expect(clients).toEqual([])
  })

  it('goes through the tunnel of a proxy, and blames that for nothing that is behind it', async () => {
    const { host } = await httpsServer()
    const proxy = createPlainServer().on('connect', (_request, client) => {
      const [name, port] = host.split(':')
      const registry = connect(Number(port), name, () => {
        client.write('HTTP/1.1 200 OK\r\n\r\n')
        registry.pipe(client).pipe(registry)
      })
    })
    proxy.listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    servers.push(proxy)
    const httpsProxy = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    await using trusting = testClient({ proxy: { httpsProxy }, registries: { 'reg.test': { ca } } })
    expect(await bytesOf(trusting.client.repository('reg.test/acme/app').blob(blobOf(blob)))).toEqual(blob)
    await using strict = testClient({ proxy: { httpsProxy }, limits: { tries: 1 } })
    expect(await failureOf(strict.client.ping('reg.test'))).toMatchObject({
      message: expect.stringMatching(/: no secure connection to reg\.test: nobody whom we trust/) as string,
    })
  })

  it('says so where the other side speaks none', async () => {
    const server = createPlainServer((_request, response) => response.end()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    servers.push(server)
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
    await using t = testClient({ registries: { [host]: { plainHttp: false } } })
    expect(await failureOf(t.client.ping(host))).toMatchObject({
      message: expect.stringMatching(/: it does not speak TLS \(ERR_SSL_[A-Z_]+\)$/) as string,
      hint: expect.stringContaining('set plain_http') as string,
    })
  })

  it('tells what OpenSSL says in its words alone', async () => {
    const { host } = await httpsServer({ minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_CCM_SHA256' })
    await using t = testClient({ registries: { [host]: { ca } } })
    expect(await failureOf(t.client.ping(host))).toMatchObject({
      message: expect.stringMatching(
        /no secure connection to [\d.:]+: [a-z/ ]*handshake failure \(ERR_SSL_\S+\)$/,
      ) as string,
    })
  })

  it('adds to the default roots and does not replace them', async () => {
    const dispatchers = new Dispatchers({})
    const roots = tls.getCACertificates('default')
    expect(dispatchers.rootsAnd('mine')).toEqual([...roots, 'mine'])
    await dispatchers.close()
  })

  it('shows its client certificate to the registry, and to nobody to whom it is redirected (GHSA-h3wm-jjqf-8jm2)', async () => {
    const asking = { requestCert: true, rejectUnauthorized: false }
    const storage = await httpsServer(asking)
    const { host, clients } = await httpsServer({ ...asking, ca }, `https://${storage.host}/signed`)
    const { cert, key } = certificates.client
    await using t = testClient({ registries: { [host]: { ca, cert: read(cert), key: read(key) } } })
    expect(await bytesOf(t.client.repository(`${host}/acme/app`).blob(blobOf(blob)))).toEqual(blob)
    expect(clients).toEqual(['client'])
    expect(storage.clients).toEqual([undefined])
  })

  it('shows its client certificate to no token server elsewhere', async () => {
    const tokens = await httpsServer({ requestCert: true, rejectUnauthorized: false })
    const { host } = await httpsServer({}, undefined, `Bearer realm="https://${tokens.host}/token"`)
    const { cert, key } = certificates.client
    await using t = testClient({ registries: { [host]: { ca, cert: read(cert), key: read(key) } } })
    expect(await failureOf(t.client.ping(host))).toMatchObject({ code: 'protocol' })
    expect(tokens.clients).toEqual([undefined])
  })

  it('is not left for plain HTTP', async () => {
    const { host } = await httpsServer({}, 'http://127.0.0.1:9/x')
    await using t = testClient({ registries: { [host]: { ca } } })
    expect(await failureOf(bytesOf(t.client.repository(`${host}/acme/app`).blob(blobOf(blob))))).toMatchObject({
      code: 'redirect',
    })
  })
})
