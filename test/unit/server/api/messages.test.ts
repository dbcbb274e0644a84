import { describe, expect, it } from 'vitest'
import type { Message, MessageKey } from '../../../../src/model/message.ts'
import { named } from '../../../../src/server/api/schemas.ts'
import type { Action } from '../../../../src/server/types.ts'
import { ask, messageOf, startServer } from '../support.ts'

const post = { method: 'POST' }
const json = { 'Content-Type': 'application/json' }

function message(publisher: string, seq: number, bundle: string): Message {
  const { event, ...rest } = messageOf(bundle)
  return { ...rest, publisher, event: { ...event, seq } }
}

const all = [message('x', 1, 'authz'), message('x', 2, 'team/a'), message('x', 3, '*'), message('y', 1, 'authz')]

async function start(allow?: [Action, string | null]) {
  const resent: MessageKey[] = []
  const asked: unknown[] = []
  const messages = {
    publishers: () => ['x', 'y'],
    list: async (filter: object, { after, limit }: { after: MessageKey | null; limit: number }) => {
      asked.push({ filter, after, limit })
      const { publisher } = filter as { publisher: string | null }
      const key = (one: MessageKey) => `${one.publisher}/${String(one.seq).padStart(9, '0')}`
      const rest = all.filter(({ publisher: to, event: { seq } }) => !after || key({ publisher: to, seq }) > key(after))
      return rest.filter((one) => publisher === null || one.publisher === publisher).slice(0, limit)
    },
    resend: async (keys: readonly MessageKey[]) => {
      resent.push(...keys)
      return [...keys]
    },
  }
  const token = { name: 'ci', token: { current: () => 'the-token' } }
  const grants = allow && [{ action: allow[0], pattern: allow[1] }]
  const access = grants && { anonymous: [], users: [], tokens: [{ ...token, allow: grants }] }
  const { url } = await startServer({ control: { messages }, ...(access && { guard: { access } }) })
  const headers = access === undefined ? {} : { Authorization: 'Bearer the-token' }
  const get = async (query = '') => {
    const answer = await ask(`${url}/api/v1/messages${query}`, headers)
    return answer.status === 200 ? named.Messages.parse(JSON.parse(answer.body)) : answer.status
  }
  const resend = async (body?: object) => {
    const sent = body === undefined ? post : { ...post, body: JSON.stringify(body) }
    const answer = await ask(`${url}/api/v1/messages/resend`, { ...headers, ...json }, sent)
    return answer.status === 200 ? named.Resent.parse(JSON.parse(answer.body)).resent : answer.status
  }
  return { get, resend, resent, asked }
}

const ids = (page: unknown) =>
  (page as { messages: Message[] }).messages.map(({ publisher, event }) => `${publisher}/${event.seq}`)

describe('messages', () => {
  it('are listed in pages, of one publisher, bundle or state', async () => {
    const { get, asked } = await start()
    const first = await get('?limit=3')
    expect(ids(first)).toEqual(['x/1', 'x/2', 'x/3'])
    expect(first).toMatchObject({ next: 'x/3' })
    const rest = await get('?limit=3&after=x/3')
    expect(ids(rest)).toEqual(['y/1'])
    expect(rest).toMatchObject({ next: null })
    await get('?publisher=x&bundle=team/a&state=parked')
    expect(asked.at(-1)).toEqual({
      filter: { publisher: 'x', bundle: 'team/a', state: 'parked' },
      ...{ after: null, limit: 100 },
    })
    expect(await get('?state=gone')).toBe(400)
    expect(await get('?after=x')).toBe(400)
  })

  it('are shown to each caller as far as it may read', async () => {
    expect(ids(await (await start(['read', 'bundles/team/*'])).get())).toEqual(['x/2', 'x/3'])
    expect(await (await start(['push', null])).get()).toBe(403)
  })

  it('are sent again: one, all for a publisher, or all', async () => {
    const { resend } = await start()
    expect(await resend({ publisher: 'x', seq: 2 })).toEqual([{ publisher: 'x', seq: 2 }])
    expect(await resend({ publisher: 'x', seq: 9 })).toEqual([])
    expect(await resend({ publisher: 'y' })).toEqual([{ publisher: 'y', seq: 1 }])
    expect(await resend()).toHaveLength(4)
    expect(await resend({ seq: 2 })).toBe(400)
  })

  it('are of nobody where there is no such publisher, and that is said', async () => {
    const { get, resend } = await start()
    expect(await get('?publisher=nosuch')).toBe(404)
    expect(await resend({ publisher: 'nosuch' })).toBe(404)
    const { url } = await startServer()
    const { body } = await ask(`${url}/api/v1/messages?publisher=nosuch`)
    expect(JSON.parse(body)).toMatchObject({
      code: 'unknown_publisher',
      detail: 'there is no publisher nosuch',
      hint: 'There is events.',
    })
  })

  it('are sent again as far as the caller may deploy', async () => {
    const some = await start(['deploy', 'bundles/authz'])
    expect(await some.resend()).toEqual([
      { publisher: 'x', seq: 1 },
      { publisher: 'y', seq: 1 },
    ])
    expect(await some.resend({ publisher: 'x', seq: 3 })).toEqual([])
    expect(await (await start(['read', null])).resend()).toBe(403)
  })
})
