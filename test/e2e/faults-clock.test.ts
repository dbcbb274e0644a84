// The server stands still (SIGSTOP) for longer than anything lasts, and goes on: everything comes by itself.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { needs } from '../support/components.ts'
import { startLongshore, type Longshore } from '../support/longshore.ts'
import { startOpa, type Opa } from '../support/opa.ts'
import { decides, pushPolicy } from '../support/policy.ts'
import { waitFor } from '../support/wait.ts'
import { askFrom, digestOf, get, restOf, startCrowd, type Crowd } from './faults-crowd.ts'

/** Longer than every time-out in the config below, and than what long polls ask for. */
const standstillMs = 8_000
const bundles = {
  authz: { store: { type: 'local', repository: 'policies/authz' }, schedule: '1s', deploy: [{ to: 'neighbour' }] },
}

let server: Longshore
let neighbour: Longshore
let crowd: Crowd

beforeAll(async () => {
  neighbour = await startLongshore()
  server = await startLongshore({
    config: {
      server: {
        limits: {
          wait_max: '4s',
          headers_timeout: '2s',
          idle_timeout: '2s',
          stall_timeout: '3s',
          upload_expiry: '3s',
        },
      },
      deployers: { neighbour: { type: 'oci', repository: `${neighbour.host}/copies/authz`, tags: ['latest'] } },
      bundles,
    },
  })
  await pushPolicy('1', `${server.host}/policies/authz:latest`)
  await waitFor('the first release', async () => (await server.fetch('/bundles/authz')).status === 200)
  crowd = startCrowd(server.port)
})

afterAll(async () => {
  crowd?.stop()
  await server?.stop()
  await neighbour?.stop()
})

async function standStill(during: () => Promise<void> = async () => undefined): Promise<void> {
  process.kill(server.process.pid, 'SIGSTOP')
  try {
    // The time itself is what is tried here.
    await Promise.all([during(), sleep(standstillMs)])
  } finally {
    process.kill(server.process.pid, 'SIGCONT')
  }
}

async function deployed(number: number): Promise<void> {
  await waitFor(
    `release ${number} at the neighbour`,
    async () => (await server.bundle('authz')).deployments[0]!.deployed === number,
  )
}

needs('opa-1.22.0')('a server that stood still', () => {
  let opa: Opa

  beforeAll(async () => {
    opa = await startOpa({
      config: {
        services: { longshore: { url: server.url, response_header_timeout_seconds: 5 } },
        bundles: {
          authz: {
            service: 'longshore',
            resource: 'bundles/authz',
            polling: { min_delay_seconds: 1, max_delay_seconds: 2, long_polling_timeout_seconds: 4 },
          },
        },
      },
    })
    await decides(opa, 'authz/version', '1')
    await deployed(1)
  })

  afterAll(() => opa?.stop())

  test('looks, deploys and serves again; OPA keeps its policy meanwhile, and gets the next', async () => {
    const rest = restOf(server)
    const looks = await server.metric('longshore_looks_total')
    await standStill(async () => {
      // It asks in vain, and decides all the same.
      await decides(opa, 'authz/version', '1')
    })
    await waitFor('it to look again', async () => (await server.metric('longshore_looks_total')) > looks)
    expect(await opa.query('authz/version')).toBe('1')
    await pushPolicy('2', `${server.host}/policies/authz:latest`)
    await decides(opa, 'authz/version', '2')
    await deployed(2)
    expect((await neighbour.fetch('/v2/copies/authz/manifests/latest')).status).toBe(200)
    await rest.until()
  })

  test('while a place does not answer, tries it again by itself', async () => {
    process.kill(neighbour.process.pid, 'SIGSTOP')
    try {
      await pushPolicy('3', `${server.host}/policies/authz:latest`)
      await decides(opa, 'authz/version', '3')
      await standStill()
    } finally {
      process.kill(neighbour.process.pid, 'SIGCONT')
    }
    await deployed(3)
  })
})

test('long polls are answered or cut, uploads begin again, and nobody is left hanging', async () => {
  const rest = restOf(server)
  const etag = (await askFrom('127.0.0.1', `${server.url}/bundles/authz`)).headers.etag as string
  const uploads = `${server.url}/v2/policies/other/blobs/uploads/`
  const started = await askFrom('127.0.0.1', uploads, { method: 'POST', headers: { 'content-length': '0' } })
  expect(started.status).toBe(202)
  await crowd.open('waiting', 200, get('/bundles/authz', { 'If-None-Match': etag, Prefer: 'wait=4' }))
  await waitFor('all of them to wait, or to have done so', async () => {
    const { answers } = await crowd.stats('waiting')
    return answers + (await server.metric('longshore_waiting_clients')) >= 200
  })
  await standStill(async () => {
    // Whoever asks meanwhile is answered afterwards, or told to come again.
    await crowd.open('meanwhile', 200, get('/bundles/authz'))
  })
  for (const group of ['waiting', 'meanwhile']) {
    const { statuses } = await crowd.until(group, 'all to be let go', ({ open }) => open === 0)
    for (const status of Object.keys(statuses)) expect(['200', '304']).toContain(status)
  }
  expect((await crowd.stats('meanwhile')).statuses).toEqual({ 200: 200 })
  const session = `${server.url}${started.headers.location as string}`
  expect((await askFrom('127.0.0.1', session)).status).toBe(404)
  const again = await askFrom('127.0.0.1', `${uploads}?digest=${digestOf(Buffer.from('blob'))}`, {
    method: 'POST',
    body: 'blob',
  })
  expect(again.status).toBe(201)
  await rest.until()
})

test('and nothing of it is a fault of ours', () => {
  expect(server.log().filter(({ level }) => (level as number) >= 50)).toEqual([])
})
