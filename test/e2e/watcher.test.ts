// Scripts of the registry watcher's users, over a real server: what they ask for is deployed, once each time.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

const place = tempDir('place')
let server: Longshore

beforeAll(async () => {
  server = await startLongshore({
    config: {
      bundles: {
        'team/authz': {
          store: { type: 'local', repository: 'policies/authz' },
          follow: { semver: '*' },
          deploy: [{ to: 'job' }],
        },
      },
      deployers: {
        job: { type: 'command', command: ['sh', '-c', 'echo "$LONGSHORE_VERSION" >> calls'], cwd: place },
      },
    },
  })
  for (const version of ['v1.0.0', 'v1.1.0']) await push(version)
})

afterAll(() => server?.stop())

async function push(version: string): Promise<void> {
  const folder = tempDir('policy')
  mkdirSync(join(folder, 'authz'))
  writeFileSync(join(folder, '.manifest'), JSON.stringify({ revision: version, roots: ['authz'] }))
  writeFileSync(join(folder, 'authz/policy.rego'), `package authz\n\nversion := "${version}"\n`)
  const pushed = await longshore(['push', folder, `${server.host}/policies/authz:${version}`])
  expect(pushed.code, pushed.stderr).toBe(0)
  await server.look('team/authz')
}

function calls(): string[] {
  const file = join(place, 'calls')
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
}

/** As curl sends it unless told otherwise. */
async function post(path: string, body: object = {}) {
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' }
  const answer = await server.fetch(path, { method: 'POST', headers, body: JSON.stringify(body) })
  return [answer.status, await answer.json()]
}

const get = async (path: string) => (await server.fetch(path)).json()

async function deployed(...versions: string[]): Promise<void> {
  await waitFor(`${versions.at(-1)} to be deployed`, async () => {
    const { deployments } = await server.bundle('team/authz')
    return calls().length >= versions.length && deployments[0]!.state === 'done'
  })
  expect(calls()).toEqual(versions)
}

test('the newest release tag is deployed, then what a person chose, also twice and with auto-deploy off, then the newest again', async () => {
  await waitFor('the newest at its place', () => calls().at(-1) === 'v1.1.0')
  const before = calls()
  await deployed(...before)
  const path = '/tags/team/authz'
  expect(await get(path)).toEqual({ repo_tag: 'v1.1.0' })
  expect(await get('/repos')).toEqual({
    'team/authz': {
      auto_deploy: true,
      pinned_tag: '',
      pinned_tag_value: 'v1.1.0',
      tags: ['v1.0.0', 'v1.1.0'],
    },
  })

  expect(await post(path, { pinned_tag: 'v1.0.0' })).toEqual([200, { message: 'Deploying to v1.0.0' }])
  await deployed(...before, 'v1.0.0')
  expect(await post(path, { pinned_tag: 'v1.0.0' })).toEqual([200, { message: 'Deploying to v1.0.0' }])
  await deployed(...before, 'v1.0.0', 'v1.0.0')
  expect(await get(path)).toEqual({ repo_tag: 'v1.0.0' })

  expect(await post(path, { auto_deploy: false })).toEqual([200, { message: 'Auto deployment set to false' }])
  expect(await post(path, { pinned_tag: 'v1.1.0' })).toEqual([200, { message: 'Deploying to v1.1.0' }])
  await deployed(...before, 'v1.0.0', 'v1.0.0', 'v1.1.0')
  await push('v1.2.0')
  expect(await post(path, { pinned_tag: 'v3.0.0' })).toEqual([400, { message: expect.stringContaining('v3.0.0') }])

  expect(await post(`${path}/reset`)).toEqual([200, { message: 'Deploying to ' }])
  await deployed(...before, 'v1.0.0', 'v1.0.0', 'v1.1.0', 'v1.2.0')
  expect(await post(`${path}/reset`)).toEqual([200, { message: 'pinned_tag is already ' }])
  expect(await get('/repos')).toMatchObject({ 'team/authz': { auto_deploy: true, pinned_tag: '' } })
  const { current } = await server.bundle('team/authz')
  expect(await get('/debug/caches')).toEqual({
    'team/authz': { cached_tags: ['v1.0.0', 'v1.1.0', 'v1.2.0'], cached_digest: current!.sourceDigest },
  })
})
