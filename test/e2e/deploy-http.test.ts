// A server that is told of releases: again with the same key, over kill -9, until it says that all is well.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, onTestFinished, test } from 'vitest'
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
  await waitFor('a request that is not answered', () => keys().length === 2, { timeoutMs: 20_000 })
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
}, 60_000)

async function push(server: Longshore): Promise<void> {
  const folder = tempDir('policy')
  mkdirSync(join(folder, 'authz'))
  writeFileSync(join(folder, '.manifest'), JSON.stringify({ revision: 'one', roots: ['authz'] }))
  writeFileSync(join(folder, 'authz/policy.rego'), 'package authz\n\nallow := true\n')
  const pushed = await longshore(['push', folder, `${server.host}/policies/authz:latest`])
  expect(pushed.code, pushed.stderr).toBe(0)
}
