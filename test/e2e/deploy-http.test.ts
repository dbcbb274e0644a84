// A server that is told of releases: again with the same key, over kill -9, until it says that all is well.
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import { createCertificates } from '../support/certs.ts'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { scriptedServer } from '../support/scripted-server.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

let server: Longshore | undefined

afterEach(() => server?.stop())

test('a request is sent again with one key, also after a kill, and once more with another when it is asked for', async () => {
  const place = await scriptedServer({ 'PUT /authz/1': [{ status: 503 }, { hang: true }, { status: 204 }] })
  onTestFinished(() => place[Symbol.asyncDispose]())
  const folder = tempDir('longshore')
  const start = () =>
    startLongshore({
      folder,
      config: {
        bundles: { authz: { store: { type: 'local', repository: 'policies/authz' }, deploy: [{ to: 'hook' }] } },
        deployers: {
          hook: { type: 'http', url: `${place.origin}/{bundle}/{release}`, method: 'PUT', body: 'bundle' },
        },
      },
    })
  const keys = () => place.requests.map(({ headers }) => headers['idempotency-key'])
  server = await start()
  await push(server)
  await waitFor('a request that is not answered', () => keys().length === 2)
  await server.process.kill()
  server = await start()
  await waitFor(
    'the release at its place',
    async () => (await server!.bundle('authz')).deployments[0]!.state === 'done',
  )
  expect(keys()).toHaveLength(3)
  expect(new Set(keys()).size).toBe(1)
  const served = await server.fetch('/bundles/authz')
  expect(Buffer.from(await served.arrayBuffer()).equals(place.requests[2]!.body)).toBe(true)

  const asked = await longshore(['deploy', 'authz', '--server', server.url])
  expect(asked.code, asked.stderr).toBe(0)
  await waitFor('one more request', () => keys().length === 4)
  expect(keys()[3]).not.toBe(keys()[0])
})

test('over TLS the server is known by the CA of the config, and we by our certificate', async () => {
  const { ca, server: own, client } = await createCertificates()
  const seen: string[] = []
  const place = createServer(
    { ...pemOf(own), ca: readFileSync(ca), requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      seen.push(String((request.socket as TLSSocket).getPeerCertificate().subject.CN))
      response.end()
    },
  ).listen(0, '127.0.0.1')
  onTestFinished(() => void place.close())
  await once(place, 'listening')
  const url = `https://127.0.0.1:${(place.address() as AddressInfo).port}/`
  const deployers = {
    known: { type: 'http', url, ca, cert: client.cert, key: client.key },
    stranger: { type: 'http', url },
    nobody: { type: 'http', url, ca },
  }
  const deploy = Object.keys(deployers).map((to) => ({ to }))
  server = await startLongshore({
    config: { bundles: { authz: { store: { type: 'local', repository: 'policies/authz' }, deploy } }, deployers },
  })
  await push(server)
  const stateOf = async (name: string) => {
    const { deployments } = await server!.bundle('authz')
    return deployments.find(({ place: to }) => to === name)!
  }
  await waitFor('the release at its place', async () => (await stateOf('known')).state === 'done')
  for (const name of ['stranger', 'nobody']) {
    await waitFor(`${name} to fail`, async () => (await stateOf(name)).state === 'failed')
  }
  expect(seen).toEqual(['client'])
  expect((await stateOf('stranger')).lastError).toMatch(/cannot be reached: .*certificate/)
  // A server that wants a certificate says so, or only hangs up.
  expect((await stateOf('nobody')).lastError).toContain('cannot be reached')
})

function pemOf({ cert, key }: { cert: string; key: string }) {
  return { cert: readFileSync(cert), key: readFileSync(key) }
}

async function push(server: Longshore): Promise<void> {
  const folder = tempDir('policy')
  mkdirSync(join(folder, 'authz'))
  writeFileSync(join(folder, '.manifest'), JSON.stringify({ revision: 'one', roots: ['authz'] }))
  writeFileSync(join(folder, 'authz/policy.rego'), 'package authz\n\nallow := true\n')
  const pushed = await longshore(['push', folder, `${server.host}/policies/authz:latest`])
  expect(pushed.code, pushed.stderr).toBe(0)
}
