import { get, type IncomingMessage } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import type { Event } from '../../../../src/model/event.ts'
import { heartbeatMs, maxEventStreams } from '../../../../src/server/api/event-stream.ts'
import type { EventFeed } from '../../../../src/state/feed.ts'
import { waitFor } from '../../../support/wait.ts'
import { ask, startServer, type TestServerOptions } from '../support.ts'

const open: IncomingMessage[] = []
afterEach(() => {
  for (const response of open.splice(0)) response.destroy()
})

/** Events in memory, and who hears of them. */
function feedOf(count = 0) {
  const events: Event[] = []
  const ears = new Set<() => void>()
  const add = (bundle = 'authz') => {
    const seq = events.length + 1
    events.push({ seq, at: seq, type: 'bundle.pinned', bundle, place: null, by: 'ann', data: { reason: 'a\nb' } })
    for (const ear of ears) ear()
  }
  for (let at = 0; at < count; at++) add()
  const feed: EventFeed = {
    newest: async () => events.length,
    after: async (seq, limit) => events.slice(seq, seq + limit),
    hear: (listener) => {
      ears.add(listener)
      return () => ears.delete(listener)
    },
  }
  return { feed, ears, add }
}

async function start(feed: EventFeed, more: TestServerOptions = {}) {
  const server = await startServer({ control: { feed }, ...more })
  const listen = async (path = '', headers: Record<string, string> = {}) => {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    get(`${server.url}/api/v1/events${path}`, { headers, agent: false }, resolve).on('error', reject)
    const response = await promise
    open.push(response)
    const heard = { response, text: '', ended: false }
    response.on('data', (chunk: Buffer) => (heard.text += chunk.toString()))
    response.on('end', () => (heard.ended = true))
    response.on('error', () => undefined)
    await waitFor('the first comment', () => heard.text.startsWith(':\n\n'))
    return heard
  }
  return { ...server, listen }
}

const idsOf = (text: string) => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))

describe('the stream of events', () => {
  it('tells what happens from now on, in the format of server-sent events', async () => {
    const { feed, add } = feedOf(2)
    const { listen } = await start(feed)
    const heard = await listen()
    expect(heard.response.headers['content-type']).toMatch(/^text\/event-stream/)
    expect(heard.response.headers['cache-control']).toBe('no-store')
    add()
    await waitFor('the third', () => heard.text.includes('id: 3'))
    const data = { seq: 3, at: 3, type: 'bundle.pinned', bundle: 'authz', place: null, by: 'ann' }
    const line = JSON.stringify({ ...data, data: { reason: 'a\nb' } })
    expect(heard.text).toBe(`:\n\nid: 3\nevent: bundle.pinned\ndata: ${line}\n\n`)
  })

  it.each<[string, string, Record<string, string>, number]>([
    ['after the number in the URL', '?after=247', {}, 248],
    ['everything', '?after=0', {}, 1],
    ['after the last one that the client saw, whatever the URL says', '?after=0', { 'Last-Event-ID': '248' }, 249],
  ])('goes on: %s', async (_what, path, headers, first) => {
    const { feed } = feedOf(250)
    const { listen } = await start(feed)
    const heard = await listen(path, headers)
    await waitFor('the last', () => heard.text.includes('id: 250\n'))
    expect(idsOf(heard.text)).toEqual(Array.from({ length: 251 - first }, (_, at) => first + at))
  })

  it('goes on from now where a client saw what another state numbered', async () => {
    const { feed, add } = feedOf(2)
    const { listen } = await start(feed)
    const heard = await listen('?after=900')
    add()
    await waitFor('the third', () => heard.text.includes('id: 3'))
  })

  it('takes no other numbers', async () => {
    const { url } = await start(feedOf().feed)
    for (const headers of [{ 'Last-Event-ID': 'x' }, { 'Last-Event-ID': '-1' }]) {
      expect((await ask(`${url}/api/v1/events`, headers)).status).toBe(400)
    }
    expect((await ask(`${url}/api/v1/events?after=x`)).status).toBe(400)
  })

  it('shows what the caller may read', async () => {
    const { feed, add } = feedOf()
    for (const bundle of ['authz', 'team/a', '*']) add(bundle)
    const access = { anonymous: [{ action: 'read' as const, pattern: 'bundles/team/*' }], tokens: [], users: [] }
    const { listen } = await start(feed, { guard: { access } })
    const heard = await listen('?after=0')
    await waitFor('the last', () => heard.text.includes('id: 3'))
    expect(idsOf(heard.text)).toEqual([2, 3])
  })

  it('says once in a while that it is alive', async () => {
    const { feed, ears } = feedOf()
    const { listen, clock } = await start(feed)
    const heard = await listen()
    await waitFor('somebody hears', () => ears.size === 1)
    await waitFor('a heartbeat', async () => {
      await clock.advance(heartbeatMs)
      return heard.text.length > 3
    })
    expect(heard.text).toMatch(/^(:\n\n)+$/)
  })

  it('ends when the server stops', async () => {
    const { feed, ears } = feedOf()
    const { listen, server } = await start(feed)
    const heard = await listen()
    server.drain()
    await waitFor('its end', () => heard.ended)
    expect(ears.size).toBe(0)
  })

  it('is let go of with its client, and there are only so many', async () => {
    const { feed, ears } = feedOf()
    const { listen, url } = await start(feed)
    const all = await Promise.all(Array.from({ length: maxEventStreams }, () => listen()))
    expect((await ask(`${url}/api/v1/events`)).status).toBe(503)
    all[0]!.response.destroy()
    await waitFor('one less', () => ears.size === maxEventStreams - 1)
    await listen()
  })

  it('is not begun for a HEAD', async () => {
    const { feed, ears } = feedOf()
    const { url } = await start(feed)
    expect((await ask(`${url}/api/v1/events`, {}, { method: 'HEAD' })).status).toBe(200)
    expect(ears.size).toBe(0)
  })
})
