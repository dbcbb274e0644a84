// Who is told: everything, in order, over an outage of the receiver and kill -9 of longshore.
import { mkdirSync, writeFileSync } from 'node:fs'
import { createHmac } from 'node:crypto'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { Event } from '../../src/model/event.ts'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { freePort } from '../support/ports.ts'
import { startReceiver, type Receiver } from '../support/receiver.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

const open: { stop(): Promise<void> }[] = []

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.stop()
})

interface CloudEvent {
  id: string
  source: string
  type: string
  data: Event
}

async function receiver(port?: number): Promise<Receiver> {
  const started = await startReceiver(port)
  open.push(started)
  return started
}

async function start(folder: string, publishers: Record<string, unknown>, port: number): Promise<Longshore> {
  const config = {
    bundles: {
      authz: {
        store: { type: 'local', repository: 'policies/authz' },
        ...{ schedule: 'off', deploy: [{ to: 'files' }], publish: Object.keys(publishers) },
      },
    },
    deployers: { files: { type: 'directory', root: join(folder, 'files') } },
    publishers,
  }
  const server = await startLongshore({ folder, config, port })
  open.push(server)
  return server
}

async function push(server: Longshore, version: string): Promise<void> {
  const folder = tempDir('policy')
  mkdirSync(join(folder, 'authz'))
  writeFileSync(join(folder, '.manifest'), JSON.stringify({ revision: version, roots: ['authz'] }))
  writeFileSync(join(folder, 'authz/policy.rego'), 'package authz\n\nallow := true\n')
  const pushed = await longshore(['push', folder, `${server.host}/policies/authz:latest`])
  expect(pushed.code, pushed.stderr).toBe(0)
}

const deployed = (server: Longshore, release: number) =>
  waitFor(`release ${release} at its place`, async () => {
    const [place] = (await server.bundle('authz')).deployments
    return place!.deployed === release && place!.state === 'done'
  })

const happened = async (server: Longshore) => {
  const answer = await server.fetch('/api/v1/bundles/authz/events?limit=1000')
  const { events } = (await answer.json()) as { events: Event[] }
  // The log of an attempt stays where it is.
  return events.toReversed().map(({ data: { log: _, ...data }, ...event }) => ({ ...event, data }))
}

const cloudEvents = ({ requests }: Receiver) =>
  requests.filter(({ url }) => url === '/events').map(({ body }) => JSON.parse(body.toString()) as CloudEvent)

test('nothing is lost while the receiver is away and longshore is killed; what comes again is the same', async () => {
  const [folder, port, receiverPort] = [tempDir('longshore'), await freePort(), await freePort()]
  const url = `http://127.0.0.1:${receiverPort}`
  const publishers = {
    events: { type: 'http', url: `${url}/events`, token: 'a-token-of-ours', hmac: { secret: 'known to both' } },
    ops: { type: 'slack', url: `${url}/services/T0/B0/hunter2hunter2` },
  }
  const first = await receiver(receiverPort)
  let server = await start(folder, publishers, port)
  await push(server, 'one')
  await waitFor('the first deployment to be told', () =>
    cloudEvents(first).some(({ type }) => type === 'longshore.deployment.succeeded'),
  )
  const [told] = first.requests.filter(({ url: at }) => at === '/events')
  expect(told!.headers).toMatchObject({
    'content-type': 'application/cloudevents+json; charset=utf-8',
    authorization: 'Bearer a-token-of-ours',
    'x-longshore-signature': `sha256=${createHmac('sha256', 'known to both').update(told!.body).digest('hex')}`,
  })
  // What was sent and not yet recorded would come once more.
  await waitFor(
    'both to be told, and that to be recorded',
    async () => texts(first).length === 1 && (await server.metric('longshore_messages', { state: 'waiting' })) === 0,
  )
  await first.stop()

  await push(server, 'two')
  await deployed(server, 2)
  expect((await longshore(['auto-deploy', 'authz', 'off', '--reason', 'freeze', '--server', server.url])).code).toBe(0)
  await waitFor('messages to wait', async () => {
    const listed = await longshore(['messages', '--json', '--server', server.url])
    const { messages } = JSON.parse(listed.stdout) as { messages: { publisher: string; state: string }[] }
    return messages.some(({ publisher, state }) => publisher === 'events' && state === 'waiting')
  })
  await server.process.kill()
  server = await start(folder, publishers, port)
  expect((await longshore(['auto-deploy', 'authz', 'on', '--server', server.url])).code).toBe(0)
  await push(server, 'three')
  await deployed(server, 3)
  await server.process.kill()

  const second = await receiver(receiverPort)
  server = await start(folder, publishers, port)
  const all = await happened(server)
  await waitFor('everything to be told', () => cloudEvents(second).some(({ data }) => data.seq === all.at(-1)!.seq))
  const events = [...cloudEvents(first), ...cloudEvents(second)]
  const ids = new Map(events.map(({ id, data }) => [data.seq, id]))
  expect(events.every(({ id, data }) => ids.get(data.seq) === id)).toBe(true)
  expect(new Set(events.map(({ source }) => source)).size).toBe(1)
  // Each once at least, in order, and equal to what the API says.
  expect([...ids.keys()]).toEqual(all.map(({ seq }) => seq))
  expect([...new Map(events.map(({ data }) => [data.seq, data])).values()]).toEqual(all)

  await waitFor('the channel to be told', () => texts(second).length >= 4)
  expect(texts(first)).toEqual([
    expect.stringMatching(/^authz: latest \(release 1\) is deployed to files by itself, after \d+m?s$/),
  ])
  expect(texts(second)).toEqual([
    expect.stringMatching(
      /^authz: latest \(release 1\) → latest \(release 2\) is deployed to files by itself, after \d+m?s$/,
    ),
    'Auto-deploy of authz was switched off by loopback: freeze',
    'Auto-deploy of authz was switched on by loopback',
    expect.stringMatching(
      /^authz: latest \(release 2\) → latest \(release 3\) is deployed to files by itself, after \d+m?s$/,
    ),
  ])
  expect(server.process.output()).not.toContain('hunter2hunter2')
})

const texts = ({ requests }: Receiver) =>
  requests
    .filter(({ url }) => url.startsWith('/services/'))
    .map(({ body }) => (JSON.parse(body.toString()) as { text: string }).text)
    .map((text) => text.replaceAll('&gt;', '>'))

test('what cannot be sent for too long is parked and seen, and sent again when a person says so', async () => {
  const [folder, port, deadPort] = [tempDir('longshore'), await freePort(), await freePort()]
  const live = await receiver()
  const server = await start(
    folder,
    {
      live: { type: 'http', url: `${live.origin}/events` },
      dead: { type: 'http', url: `http://127.0.0.1:${deadPort}/events`, park_after: '1s' },
    },
    port,
  )
  await push(server, 'one')
  await deployed(server, 1)
  await waitFor('the live one to be told', async () => cloudEvents(live).length === (await happened(server)).length)
  const parked = async () => {
    const listed = await longshore(['messages', '--parked', '--json', '--server', server.url])
    return (JSON.parse(listed.stdout) as { messages: { publisher: string; lastError: string }[] }).messages
  }
  const all = await happened(server)
  await waitFor('all to be parked', async () => (await parked()).length === all.length)
  expect(new Set((await parked()).map(({ publisher }) => publisher))).toEqual(new Set(['dead']))
  expect((await parked())[0]!.lastError).toContain(`127.0.0.1:${deadPort} cannot be reached`)
  expect(await server.metric('longshore_messages', { publisher: 'dead', state: 'parked' })).toBe(all.length)

  const dead = await receiver(deadPort)
  const again = await longshore(['resend', 'dead', '--server', server.url])
  expect(again.stdout).toContain(`${all.length} messages will be sent again`)
  await waitFor('it to be told', () => cloudEvents(dead).length >= all.length)
  expect(cloudEvents(dead).map(({ data }) => data.seq)).toEqual(all.map(({ seq }) => seq))
  expect(await parked()).toEqual([])
})
