import { readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { pushPolicy } from '../support/policy.ts'

const started: Longshore[] = []
afterAll(async () => {
  for (const one of started) await one.stop()
})

async function start({ folder, gc = {} }: { folder?: string; gc?: object } = {}): Promise<Longshore> {
  const config = { content: { path: './data', gc: { grace: '10ms', ...gc } } }
  const server = await startLongshore({ config, ...(folder !== undefined && { folder }) })
  started.push(server)
  return server
}

const hexOf = (text: string) => createHash('sha256').update(text).digest('hex')

async function upload(server: Longshore, repository: string, text: string): Promise<void> {
  const path = `/v2/${repository}/blobs/uploads/?digest=sha256:${hexOf(text)}`
  const answer = await server.fetch(path, { method: 'POST', body: text })
  expect(answer.status).toBe(201)
}

const blobs = (server: Longshore) => readdirSync(join(server.folder, 'data/blobs/sha256'))

describe('longshore gc', () => {
  it('has the running server collect, and says what and why before', async () => {
    const server = await start()
    await upload(server, 'some/where', 'nobody names this')
    const dry = await longshore(['gc', '--dry-run', '--json', '-c', server.configFile])
    expect(dry.code).toBe(0)
    const listed = JSON.parse(dry.stdout) as { items: { what: string; digest: string; repository: string | null }[] }
    expect(listed.items.map(({ what, digest, repository }) => [what, digest, repository])).toEqual([
      ['blob', `sha256:${hexOf('nobody names this')}`, 'some/where'],
      ['file', `sha256:${hexOf('nobody names this')}`, null],
    ])
    expect(blobs(server)).toContain(hexOf('nobody names this'))
    const done = await longshore(['gc', '-c', server.configFile])
    expect(done).toMatchObject({ code: 0, stderr: '' })
    expect(done.stdout).toMatch(
      /^removed 1 blob \(17 B\)\ntook 0 releases, 0 manifests, 1 blob out of repositories\nleft /,
    )
    expect(blobs(server)).not.toContain(hexOf('nobody names this'))
    expect(await server.metric('longshore_gc_freed_bytes_total')).toBe(17)
    await server.logged({ audit: true, action: 'gc', dryRun: false, files: 1 })
  })

  it('does it itself where no server runs, and leaves a folder that serves on', async () => {
    const server = await start()
    await upload(server, 'some/where', 'nobody names this')
    await server.stop()
    const dry = await longshore(['gc', '--dry-run', '-c', server.configFile])
    expect(dry.stdout).toMatch(
      /^WHAT +DIGEST +SIZE +REPOSITORY +WHY\nblob +sha256:[0-9a-f]{64} +17 B +some\/where +no manifest/,
    )
    const done = await longshore(['gc', '--json', '-c', server.configFile])
    expect(JSON.parse(done.stdout)).toMatchObject({ dryRun: false, blobs: 1, files: 1, bytes: 17 })
    expect((await longshore(['verify-content', '-c', server.configFile])).code).toBe(0)
    expect(blobs(server)).not.toContain(hexOf('nobody names this'))
  })

  it('lets go of what no tag needs, where the config says how long it may stay', async () => {
    const server = await start({ gc: { untagged: '10ms' } })
    const head = async (reference: string) => {
      const answer = await server.fetch(`/v2/acme/authz/manifests/${reference}`, { method: 'HEAD' })
      return answer.status
    }
    const old = await pushPolicy('one', `${server.host}/acme/authz:latest`)
    await pushPolicy('two', `${server.host}/acme/authz:latest`)
    expect(await head(old)).toBe(200)
    const done = await longshore(['gc', '--json', '-c', server.configFile])
    expect(JSON.parse(done.stdout)).toMatchObject({ manifests: 1, files: 2 })
    expect([await head(old), await head('latest')]).toEqual([404, 200])
  })

  it('refuses a folder whose state is gone, as the server does', async () => {
    const server = await start()
    await upload(server, 'some/where', 'x')
    await server.stop()
    const data = join(server.folder, 'data')
    renameSync(join(data, 'state.db'), join(server.folder, 'state.db'))
    for (const end of ['-wal', '-shm']) rmSync(join(data, `state.db${end}`), { force: true })
    for (const command of ['gc', 'serve']) {
      const refused = await longshore([command, '-c', server.configFile])
      expect(refused.code).toBe(1)
      expect(refused.stderr).toMatch(/the state that says whose they are is gone/)
    }
    expect(blobs(server)).toContain(hexOf('x'))
  })

  it('leaves files alone that are not its own', async () => {
    const server = await start()
    const strange = join(server.folder, 'data/blobs/sha256/notes.txt')
    writeFileSync(strange, 'mine')
    utimesSync(strange, 1, 1)
    await longshore(['gc', '-c', server.configFile])
    expect(blobs(server)).toContain('notes.txt')
  })
})
