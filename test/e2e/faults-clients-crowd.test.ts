// Very many clients at once, and more than the ceilings: each bounded by a limit of docs/limits.md, the others served meanwhile.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startLongshore, type Longshore } from '../support/longshore.ts'
import { pushPolicy } from '../support/policy.ts'
import { waitFor } from '../support/wait.ts'
import { askFrom, get, restOf, startCrowd, whileServed, type Crowd } from './faults-crowd.ts'

const bundles = { authz: { store: { type: 'local', repository: 'policies/authz' } } }
const mebibyte = 1024 ** 2

let server: Longshore
let crowd: Crowd

async function start(limits: Record<string, unknown>): Promise<void> {
  server = await startLongshore({ config: { server: { limits }, bundles } })
  await pushPolicy('1', `${server.host}/policies/authz:latest`)
  await waitFor('the first release', async () => (await server.fetch('/bundles/authz')).status === 200)
  crowd = startCrowd(server.port)
}

async function stop(): Promise<void> {
  crowd?.stop()
  await server?.stop()
}

async function etagOf(path: string): Promise<string> {
  return (await askFrom('127.0.0.2', `${server.url}${path}`)).headers.etag as string
}

describe('ten thousand connections', { timeout: 600_000 }, () => {
  beforeAll(() => start({ headers_timeout: '3s', idle_timeout: '2s' }))
  afterAll(stop)

  test('that say nothing, or nothing more, are let go, and nobody else notices', async () => {
    const rest = restOf(server)
    await whileServed(server, ['/bundles/authz', '/v2/policies/authz/manifests/latest', '/health/live'], async () => {
      await crowd.open('silent', 5_000, '')
      await crowd.open('half a head', 2_500, 'GET /bundles/authz HTTP/1.1\r\nHost: local')
      await crowd.open('done', 2_500, get('/bundles/authz'))
      await crowd.until('done', 'every answer', ({ answers }) => answers === 2_500)
      expect(rest.grownBytes()).toBeLessThan(600 * mebibyte)
      for (const group of ['silent', 'half a head', 'done']) {
        await crowd.until(group, 'the server to close them', ({ open }) => open === 0)
      }
    })
    expect(await crowd.stats('done')).toMatchObject({ failed: 0, statuses: { 200: 2_500 } })
    expect((await crowd.stats('silent')).statuses).toEqual({ 408: 5_000 })
    expect((await crowd.stats('half a head')).statuses).toEqual({ 408: 2_500 })
    await rest.until()
  })
})

describe('ten thousand connections', { timeout: 600_000 }, () => {
  // None is to be let go for being late with its head: here they are to wait, all of them.
  beforeAll(() => start({ headers_timeout: '10m', idle_timeout: '2s', wait_max: '10m' }))
  afterAll(stop)

  test('that wait for a change are all answered with it', async () => {
    const rest = restOf(server)
    const old = await etagOf('/bundles/authz')
    await whileServed(server, ['/v2/policies/authz/manifests/latest', '/health/live'], async () => {
      const waiting = get('/bundles/authz', { 'If-None-Match': old, Prefer: 'modes=snapshot,delta;wait=600' })
      await crowd.open('waiting', 10_000, waiting)
      const all = async () => {
        const waiting = await server.metric('longshore_waiting_clients')
        if (waiting !== 10_000) throw new Error(`${waiting} wait: ${JSON.stringify(await crowd.stats('waiting'))}`)
        return true
      }
      await waitFor('all of them to wait', all, { timeoutMs: 300_000 })
    })
    expect(rest.grownBytes()).toBeLessThan(600 * mebibyte)
    await pushPolicy('2', `${server.host}/policies/authz:latest`)
    const { statuses, bodies } = await crowd.until('waiting', 'every answer in full', ({ bodies: came }) => {
      return Object.values(came).reduce((sum, count) => sum + count, 0) === 10_000
    })
    const now = (await etagOf('/bundles/authz')).slice(1, -1)
    expect(`"${now}"`).not.toBe(old)
    expect([statuses, bodies]).toEqual([{ 200: 10_000 }, { [now]: 10_000 }])
    expect(await server.metric('longshore_waiting_clients')).toBe(0)
    await rest.until()
  })
})

describe('more than there may be', () => {
  beforeAll(() => {
    const unhurried = { headers_timeout: '10m', wait_max: '10m' }
    return start({ max_connections: 400, max_connections_per_source: 300, max_waiting: 50, ...unhurried })
  })
  afterAll(stop)

  test('long polls get 503 with Retry-After, those that are held their answer', async () => {
    const old = await etagOf('/bundles/authz')
    const waiting = get('/bundles/authz', { 'If-None-Match': old, Prefer: 'wait=600' })
    await crowd.open('first', 50, waiting)
    await waitFor('50 to wait', async () => (await server.metric('longshore_waiting_clients')) === 50)
    await whileServed(server, ['/bundles/authz'], async () => {
      await crowd.open('beyond', 20, waiting)
      await crowd.until('beyond', 'the refusals', ({ answers }) => answers === 20)
    })
    expect(await crowd.stats('beyond')).toMatchObject({ statuses: { 503: 20 }, retryAfter: 20 })
    expect(await server.metric('longshore_limited_total', { limit: 'max_waiting' })).toBe(20)
    await pushPolicy('3', `${server.host}/policies/authz:latest`)
    await crowd.until('first', 'their answers', ({ statuses }) => statuses[200] === 50)
    for (const group of ['first', 'beyond']) await crowd.close(group)
  })

  test('one connection has one place, however much it asks for', async () => {
    const old = await etagOf('/bundles/authz')
    const waiting = get('/bundles/authz', { 'If-None-Match': old, Prefer: 'wait=600' })
    await crowd.open('greedy', 1, waiting.repeat(2_000))
    await waitFor('one to wait', async () => (await server.metric('longshore_waiting_clients')) === 1)
    await pushPolicy('4', `${server.host}/policies/authz:latest`)
    const { statuses } = await crowd.until('greedy', 'the connection to be closed', ({ open }) => open === 0)
    // The one that was held, those that came ahead of their turn, and one refusal for all the others.
    expect(statuses).toEqual({ 200: 1, 304: 16, 429: 1 })
    expect(await server.metric('longshore_waiting_clients')).toBe(0)
  })

  test('connections from one address are closed; another address gets in', async () => {
    const rest = restOf(server)
    await whileServed(server, ['/bundles/authz', '/health/live'], async () => {
      await crowd.open('many', 1_000, '')
      await crowd.until('many', 'those beyond to be closed', ({ open }) => open === 300)
    })
    await crowd.open('others', 200, '', { from: '127.0.0.3' })
    const { open } = await crowd.until('others', 'those beyond the ceiling for all', (others) => others.open <= 100)
    for (const group of ['many', 'others']) await crowd.close(group)
    await rest.until()
    const limited = (limit: string) => server.metric('longshore_limited_total', { limit })
    // One who was served meanwhile may still have been on the way out.
    expect([await limited('max_connections_per_source'), await limited('max_connections')]).toEqual([700, 200 - open])
    expect(open).toBeGreaterThan(95)
    expect((await askFrom('127.0.0.1', `${server.url}/bundles/authz`)).status).toBe(200)
  })
})
