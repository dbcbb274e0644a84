// Guessing passwords, as fast as the server takes it: it costs the guesser, not those who know theirs.
import { hashSync } from 'bcryptjs'
import { Agent, request } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startLongshore, type Longshore } from '../support/longshore.ts'
import { pushPolicy, writeFiles } from '../support/policy.ts'
import { waitFor } from '../support/wait.ts'
import { askFrom, restOf } from './faults-crowd.ts'

const guesses = 10_000
const password = 'correct horse battery staple'
const token = 'a-token-of-the-agents'
const basic = (user: string, secret: string) => `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`
const names = Array.from({ length: 40 }, (_, index) => `user${index}`)

let server: Longshore

beforeAll(async () => {
  // As htpasswd writes it by default costs more; ten rounds are 50 to 100 ms.
  const hash = hashSync(password, 10)
  server = await startLongshore({
    headers: { authorization: `Bearer ${token}` },
    config: {
      server: {
        access: {
          tokens: { agents: { token, allow: ['admin'] } },
          users: Object.fromEntries(names.map((name) => [name, { password_hash: hash, allow: ['read'] }])),
        },
      },
      bundles: { authz: { store: { type: 'local', repository: 'policies/authz' } } },
    },
  })
  const auth = { auths: { [server.host]: { auth: Buffer.from(`agents:${token}`).toString('base64') } } }
  const env = { DOCKER_CONFIG: writeFiles({ 'config.json': JSON.stringify(auth) }) }
  await pushPolicy('1', `${server.host}/policies/authz:latest`, { env })
  await waitFor('the first release', async () => (await server.fetch('/bundles/authz')).status === 200)
})

afterAll(() => server?.stop())

/** More than are held back at one time. */
const guessers = 2_000

/** Guesses on kept connections, each as soon as the last one is answered; returns how often each status came. */
async function guess(count: number): Promise<Record<number, number>> {
  const agent = new Agent({ keepAlive: true, maxSockets: guessers, localAddress: '127.0.0.1' })
  const statuses: Record<number, number> = {}
  let left = count
  const one = async () => {
    for (;;) {
      const nth = left--
      if (nth <= 0) return
      const authorization = nth % 3 === 0 ? `Bearer guess-${nth}` : basic(names[nth % 50] ?? 'nobody', `guess ${nth}`)
      const status = await ask(agent, authorization)
      statuses[status] = (statuses[status] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: guessers }, one))
  agent.destroy()
  return statuses
}

function ask(agent: Agent, authorization: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  request(`${server.url}/bundles/authz`, { agent, headers: { authorization } }, (response) => {
    response.resume()
    response.on('end', () => resolve(response.statusCode!))
  })
    .on('error', reject)
    .end()
  return promise
}

test('ten thousand wrong ones from one address do not keep another from logging in, nor anybody with a token', async () => {
  const rest = restOf(server)
  const from = (address: string, authorization: string) =>
    askFrom(address, `${server.url}/bundles/authz`, { headers: { authorization } })
  let over = false
  const guessing = guess(guesses).finally(() => (over = true))
  let served = 0
  // New users of the other address all the time: none of them is remembered from before.
  for (const name of names) {
    if (over) break
    const [user, agent, neighbour] = await Promise.all([
      waitFor(`${name} to get in`, async () => {
        const answer = await from('127.0.0.2', basic(name, password))
        expect([200, 429]).toContain(answer.status)
        return answer.status === 200 && answer
      }),
      from('127.0.0.3', `Bearer ${token}`),
      // Even at the address of the guesses.
      from('127.0.0.1', `Bearer ${token}`),
    ])
    expect([user, agent, neighbour].map(({ status }) => status)).toEqual([200, 200, 200])
    served++
  }
  const statuses = await guessing
  expect(served).toBeGreaterThan(0)
  expect(Object.keys(statuses).toSorted()).toEqual(['401', '429'])
  expect(statuses[401]! + statuses[429]!).toBe(guesses)
  const failures = await server.metric('longshore_login_failures_total')
  expect(failures).toBeLessThanOrEqual(guesses)
  expect(rest.grownBytes()).toBeLessThan(300 * 1024 ** 2)
  // The log says so, and not ten thousand times; never with what was tried.
  const warnings = server.log().filter(({ msg }) => String(msg).includes('refused credentials'))
  expect(warnings.length).toBeGreaterThan(3)
  expect(warnings.length).toBeLessThan(20)
  expect(server.process.output()).not.toContain('guess-')
  await rest.until()
})
