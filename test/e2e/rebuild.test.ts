import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

const started: Longshore[] = []
afterAll(async () => {
  for (const one of started) await one.stop()
})

async function start(options: Parameters<typeof startLongshore>[0]): Promise<Longshore> {
  const server = await startLongshore(options)
  started.push(server)
  return server
}

function policy(text: string): string {
  const folder = tempDir('policy')
  mkdirSync(join(folder, 'a'))
  writeFileSync(join(folder, 'a/policy.rego'), `package a\nimport rego.v1\nallow if input.x == "${text}"\n`)
  return folder
}

it('serve --rebuild-state serves the newest from the folder alone, and deploys nothing before resume', async () => {
  const target = await start({})
  const config = {
    content: { path: './data' },
    bundles: {
      authz: { store: { type: 'local', repository: 'policies/authz' }, schedule: 'off', deploy: [{ to: 'prod' }] },
    },
    deployers: { prod: { type: 'oci', repository: `${target.host}/prod/authz` } },
  }
  const at = async () => (await target.fetch('/v2/prod/authz/manifests/latest', { method: 'HEAD' })).headers.get('etag')
  const push = async (server: Longshore, text: string) => {
    expect(await longshore(['push', policy(text), `${server.host}/policies/authz:latest`])).toMatchObject({ code: 0 })
    await server.look('authz')
    return Buffer.from(await (await server.fetch('/bundles/authz')).arrayBuffer())
  }

  const server = await start({ config })
  await push(server, 'one')
  await push(server, 'two')
  const served = await push(server, 'three')
  await waitFor('the deployment', async () => (await server.bundle('authz')).deployments[0]!.deployed === 3)
  const first = await at()
  await server.stop()
  const data = join(server.folder, 'data')
  for (const name of readdirSync(data)) if (name.startsWith('state.db')) rmSync(join(data, name))

  writeFileSync(join(data, 'state.db'), '')
  const emptied = await longshore(['serve', '-c', server.configFile])
  expect(emptied.code).toBe(1)
  expect(emptied.stderr).toMatch(/the state .*state\.db is empty, but there are blobs[^]*--rebuild-state/)
  for (const name of readdirSync(data)) if (name.startsWith('state.db')) rmSync(join(data, name))

  const again = await start({ config, folder: server.folder, args: ['--rebuild-state'] })
  expect(Buffer.from(await (await again.fetch('/bundles/authz')).arrayBuffer()).equals(served)).toBe(true)
  expect(await again.releases('authz')).toMatchObject([{ number: 1, reason: 'the state was rebuilt from the folder' }])
  expect((await again.bundle('authz')).held).toMatchObject({ reason: 'the state was rebuilt from the folder' })
  const status = await longshore(['status', '-c', again.configFile])
  expect(status.stdout).toMatch(
    /authz is not deployed: the state was rebuilt from the folder; go on with: longshore resume authz/,
  )

  await push(again, 'four')
  expect((await again.releases('authz')).map(({ number }) => number)).toEqual([2, 1])
  expect((await again.bundle('authz')).deployments).toMatchObject([{ desired: 2, deployed: null, attempts: 0 }])
  expect(await at()).toBe(first)

  const resumed = await longshore(['resume', 'authz', '-c', again.configFile])
  expect(resumed).toMatchObject({ code: 0, stdout: 'authz: deployed again\n' })
  await waitFor('the second deployment', async () => (await at()) !== first)
  expect((await again.bundle('authz')).held).toBeNull()
  expect((await longshore(['resume', '-c', again.configFile])).stdout).toBe('nothing was held\n')
  await again.stop()

  const refused = await longshore(['serve', '--rebuild-state', '-c', again.configFile])
  expect(refused.code).toBe(2)
  expect(refused.stderr).toMatch(/cannot rebuild the state in .*: there is one/)
})

it('a state whose log was damaged is refused after a kill, not taken for the older one that SQLite would see', async () => {
  const server = await start({ config: { content: { path: './data' } } })
  const push = (name: string) => longshore(['push', policy(name), `${server.host}/policies/${name}:latest`])
  for (const name of ['one', 'two', 'three', 'four']) expect(await push(name)).toMatchObject({ code: 0 })
  const data = join(server.folder, 'data')
  await waitFor('the last index', () => existsSync(join(data, 'repositories/policies/four/index.json')))
  await server.process.kill()
  const log = join(data, 'state.db-wal')
  const bytes = readFileSync(log)
  const salts = bytes.subarray(16, 24)
  bytes[(bytes.lastIndexOf(salts) + 32) >> 1]! ^= 1
  writeFileSync(log, bytes)

  for (const command of ['serve', 'gc']) {
    const refused = await longshore([command, '-c', server.configFile])
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(/state\.db-wal is damaged before at least \d+ changes[^]*--rebuild-state/)
  }
  expect(readFileSync(log).equals(bytes)).toBe(true)

  for (const name of readdirSync(data)) if (name.startsWith('state.db')) rmSync(join(data, name))
  const again = await start({ folder: server.folder, args: ['--rebuild-state'] })
  expect((await again.fetch('/v2/policies/four/manifests/latest', { method: 'HEAD' })).status).toBe(200)
})
