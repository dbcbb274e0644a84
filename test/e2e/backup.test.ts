import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { tempDir } from '../support/temp.ts'

const started: Longshore[] = []
afterAll(async () => {
  for (const one of started) await one.stop()
})

const config = {
  bundles: { authz: { store: { type: 'local', repository: 'policies/authz' }, schedule: 'off' } },
}

async function start(folder?: string): Promise<Longshore> {
  const server = await startLongshore({ config, ...(folder !== undefined && { folder }) })
  started.push(server)
  return server
}

function policy(): string {
  const folder = tempDir('policy')
  mkdirSync(join(folder, 'a'))
  writeFileSync(join(folder, 'a/policy.rego'), 'package a\nimport rego.v1\nallow if input.x\n')
  return folder
}

async function release(server: Longshore): Promise<Buffer> {
  expect(await longshore(['push', policy(), `${server.host}/policies/authz:latest`])).toMatchObject({ code: 0 })
  await server.look('authz')
  return Buffer.from(await (await server.fetch('/bundles/authz')).arrayBuffer())
}

describe('longshore backup and restore', () => {
  it('of a running server, into an empty folder: it serves the same again', async () => {
    const server = await start()
    const served = await release(server)
    const to = join(tempDir('backup'), 'monday')
    const done = await longshore(['backup', to, '-c', server.configFile])
    expect(done).toMatchObject({ code: 0, stderr: '' })
    expect(done.stdout).toMatch(/monday: the state, \d+ blobs \(/)
    await server.logged({ audit: true, action: 'backup', to })
    expect(readdirSync(to)).not.toContain('token')
    // It opened the state a second time, and closed it: the lock is held all the same.
    const locked = await longshore(['serve', '-c', server.configFile])
    expect(locked.stderr).toMatch(/in use by another longshore/)
    const again = await longshore(['backup', to, '-c', server.configFile])
    expect(again.stderr).toMatch(/cannot back up to .*monday: there is something already/)
    expect(again.code).not.toBe(0)
    await server.stop()

    const folder = tempDir('restored')
    writeFileSync(join(folder, 'longshore.json'), JSON.stringify({ content: { path: './data' }, ...config }))
    const restored = await longshore(['restore', to, '-c', join(folder, 'longshore.json')])
    expect(restored).toMatchObject({ code: 0 })
    const other = await start(folder)
    expect(Buffer.from(await (await other.fetch('/bundles/authz')).arrayBuffer()).equals(served)).toBe(true)
    expect((await other.releases('authz')).map(({ number }) => number)).toEqual([1])
    expect(existsSync(join(folder, 'data/token'))).toBe(true)
    await other.stop()
    expect((await longshore(['verify-content', '-c', other.configFile])).code).toBe(0)
  })

  it('without a server, by itself; with a folder that is not empty, not', async () => {
    const server = await start()
    await release(server)
    await server.stop()
    const to = join(tempDir('backup'), 'tuesday')
    const done = await longshore(['backup', to, '--json', '-c', server.configFile])
    expect(JSON.parse(done.stdout)).toMatchObject({ path: to, missing: [] })
    const refused = await longshore(['restore', to, '-c', server.configFile])
    expect(refused.code).toBe(2)
    expect(refused.stderr).toMatch(/cannot restore into .*data: there is something already/)
  })
})
