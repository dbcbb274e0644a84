// How it stops: nobody is cut off who can be served in time, and nobody keeps it from stopping.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { get, request, type IncomingMessage } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { pushPolicy, writeFiles } from '../support/policy.ts'
import type { Exit } from '../support/process.ts'
import { isAnswering } from '../support/http.ts'
import { waitFor } from '../support/wait.ts'

const authz = { store: { type: 'local', repository: 'policies/authz' } }
/** More than the sockets between two processes hold. */
const bigBytes = 16 * 1024 ** 2
/** Longer than any test: what ends before is not ended by the bound. */
const unhurried = { shutdown_timeout: '1h' }

async function startWithBigBundle(server: Record<string, unknown> = {}): Promise<Longshore> {
  const started = await startLongshore({ config: { server, bundles: { big: { ...authz, kind: 'files' } } } })
  const folder = writeFiles({ 'big.bin': randomBytes(bigBytes) })
  const pushed = await longshore(['push', join(folder, 'big.bin'), `${started.host}/policies/authz:latest`])
  expect(pushed.code, pushed.stderr).toBe(0)
  await started.look('big')
  expect((await started.fetch('/bundles/big', { method: 'HEAD' })).status).toBe(200)
  return started
}

/** An answer whose body nobody reads yet. */
async function ask(server: Longshore, path: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const [response] = (await once(get(`${server.url}${path}`, { headers, agent: false }), 'response')) as [
    IncomingMessage,
  ]
  return response
}

async function readAll(response: IncomingMessage): Promise<{ bytes: number; digest: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    hash.update(chunk)
    bytes += chunk.length
  }
  return { bytes, digest: `sha256:${hash.digest('hex')}` }
}

function terminate(server: Longshore): void {
  process.kill(server.process.pid, 'SIGTERM')
}

test('who waits for a change is answered 304, and it ends with 0', async () => {
  const server = await startLongshore({ config: { server: unhurried, bundles: { authz } } })
  await pushPolicy('one', `${server.host}/policies/authz:latest`)
  await server.look('authz')
  const etag = (await server.fetch('/bundles/authz')).headers.get('etag')!
  const waiting = Array.from({ length: 20 }, () =>
    ask(server, '/bundles/authz', { prefer: 'modes=snapshot,delta;wait=50', 'if-none-match': etag }),
  )
  await waitFor('all to wait', async () => (await server.metric('longshore_waiting_clients')) === waiting.length)
  terminate(server)
  for (const response of await Promise.all(waiting)) {
    expect(response.statusCode).toBe(304)
    expect(response.headers.etag).toBe(etag)
  }
  expect((await server.process.exited).code).toBe(0)
})

test.each([
  ['memory', unhurried],
  ['disk', { ...unhurried, limits: { bundle_memory: '1MiB' } }],
])('a download from %s that is under way is finished; nobody new is let in meanwhile', async (_from, settings) => {
  const server = await startWithBigBundle(settings)
  const response = await ask(server, '/bundles/big')
  terminate(server)
  await waitFor('the port to be closed', async () => !(await isAnswering(server.port)))
  const { bytes, digest } = await readAll(response)
  expect(response.headers.etag).toBe(`"${digest}"`)
  expect(bytes).toBe(Number(response.headers['content-length']))
  expect(bytes).toBeGreaterThan(bigBytes)
  expect((await server.process.exited).code).toBe(0)
})

test('an upload that is under way is finished', async () => {
  const server = await startLongshore({ config: { server: unhurried } })
  const begun = await server.fetch('/v2/policies/slow/blobs/uploads/', { method: 'POST' })
  const halves = [randomBytes(1024 ** 2), randomBytes(1024 ** 2)] as const
  const digest = digestOf(Buffer.concat(halves))
  const upload = request(`${server.url}${begun.headers.get('location')!}?digest=${digest}`, {
    method: 'PUT',
    // It says when it has heard of it: until then, it is not under way.
    headers: { 'content-length': 2 * 1024 ** 2, expect: '100-continue' },
    agent: false,
  })
  const answered = once(upload, 'response') as Promise<[IncomingMessage]>
  upload.flushHeaders()
  await once(upload, 'continue')
  upload.write(halves[0])
  await waitFor('the first half to be on its way', () => upload.writableLength === 0)
  terminate(server)
  await waitFor('the port to be closed', async () => !(await isAnswering(server.port)))
  upload.end(halves[1])
  const [response] = await answered
  expect(response.statusCode).toBe(201)
  response.resume()
  expect((await server.process.exited).code).toBe(0)
  expect(server.log().filter((line) => 'uploads' in line)).toEqual([])
  const again = await startLongshore({ folder: server.folder, port: server.port })
  expect((await again.fetch(`/v2/policies/slow/blobs/${digest}`, { method: 'HEAD' })).status).toBe(200)
  await again.stop()
})

test('uploads that do not end in time are cut, and it says how many', async () => {
  const server = await startLongshore({ config: { server: { shutdown_timeout: '2s' } } })
  const begin = async () => (await server.fetch('/v2/policies/slow/blobs/uploads/', { method: 'POST' })).headers
  await begin()
  const upload = request(`${server.url}${(await begin()).get('location')!}`, {
    method: 'PATCH',
    headers: { 'content-length': 2 * 1024 ** 2, expect: '100-continue' },
    agent: false,
  })
  const cut = once(upload, 'error')
  upload.flushHeaders()
  await once(upload, 'continue')
  upload.write(randomBytes(1024 ** 2))
  terminate(server)
  await cut
  expect((await server.process.exited).code).toBe(0)
  const said = await server.logged({ uploads: 2 })
  expect(said).toMatchObject({ level: 30, msg: 'stopped before 2 uploads had ended: they have to begin again' })
})

test('a hangup meanwhile does not end it', async () => {
  const server = await startWithBigBundle(unhurried)
  const response = await ask(server, '/bundles/big')
  terminate(server)
  await waitFor('the port to be closed', async () => !(await isAnswering(server.port)))
  process.kill(server.process.pid, 'SIGHUP')
  expect(response.headers.etag).toBe(`"${(await readAll(response)).digest}"`)
  expect((await server.process.exited).code).toBe(0)
})

test('a client that reads no further is cut off when the time is over, and it ends with 0', async () => {
  const server = await startWithBigBundle({ shutdown_timeout: '2s' })
  const response = await ask(server, '/bundles/big')
  response.on('error', () => undefined)
  terminate(server)
  expect((await server.process.exited).code).toBe(0)
  expect(server.log().filter(({ msg }) => String(msg).includes('did not close in time'))).toEqual([])
})

test('a registry that never answers does not keep it', async () => {
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const connected = once(silent, 'connection')
  const { port } = silent.address() as AddressInfo
  const repository = `127.0.0.1:${port}/acme/policies`
  // Ready only after a first look, which does not come to an end here.
  const server = await startLongshore({
    config: {
      server: { ...unhurried, ready_timeout: '1ms' },
      bundles: { authz: { store: { type: 'oci', repository } } },
    },
  })
  await connected
  terminate(server)
  expect((await server.process.exited).code).toBe(0)
  silent.close()
})

test('a second signal ends it', async () => {
  const server = await startWithBigBundle(unhurried)
  const response = await ask(server, '/bundles/big')
  response.on('error', () => undefined)
  let exit: Exit | undefined
  void server.process.exited.then((ended) => (exit = ended))
  // As somebody would who presses it until it helps.
  await waitFor('it to end', () => {
    if (exit === undefined) terminate(server)
    return exit !== undefined
  })
  expect(exit?.code).toBe(130)
})

test('a Ctrl-C that comes twice, as through npm in a terminal, is one', async () => {
  const server = await startWithBigBundle(unhurried)
  const response = await ask(server, '/bundles/big')
  process.kill(server.process.pid, 'SIGINT')
  process.kill(server.process.pid, 'SIGTERM')
  await waitFor('the port to be closed', async () => !(await isAnswering(server.port)))
  expect(response.headers.etag).toBe(`"${(await readAll(response)).digest}"`)
  expect((await server.process.exited).code).toBe(0)
})
