// The data folder turns read-only under a running server, as a file system does after an error of its disk: what can be read
// goes on, what would write is refused plainly, and when it can be written to again, all goes on.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { startLongshore, type Longshore } from '../support/longshore.ts'
import { pushPolicy } from '../support/policy.ts'
import { tempDir } from '../support/temp.ts'

const mounted: string[] = []
const servers: Longshore[] = []

/** Files that are open stay writable; whoever opens one finds it read-only. Mounting needs root, as in CI's container. */
function mountReadOnly(folder: string): void {
  execFileSync('mount', ['--bind', folder, folder], { stdio: 'ignore' })
  mounted.push(folder)
  execFileSync('mount', ['-o', 'remount,ro,bind', folder], { stdio: 'ignore' })
}

function unmountAll(): void {
  for (const folder of mounted.splice(0)) execFileSync('umount', ['--lazy', folder], { stdio: 'ignore' })
}

function mayMount(): boolean {
  try {
    mountReadOnly(tempDir('mount'))
    return true
  } catch {
    process.stderr.write('skipped: a disk that turns read-only: mounting needs root\n')
    return false
  } finally {
    unmountAll()
  }
}

describe.runIf(mayMount())('a data folder that turns read-only', () => {
  afterEach(async () => {
    unmountAll()
    await Promise.all(servers.splice(0).map((server) => server.stop()))
  })

  it('goes on being served from, refuses what is pushed and fetched, and takes it when it can be written to again', async () => {
    const upstream = await startLongshore()
    servers.push(upstream)
    await pushPolicy('one', `${upstream.host}/acme/authz:latest`)
    const authz = { store: { type: 'oci', repository: `${upstream.host}/acme/authz` }, schedule: 'off' }
    const server = await startLongshore({ config: { bundles: { authz } } })
    servers.push(server)
    await server.look('authz')
    const served = async () => digestOf(Buffer.from(await (await server.fetch('/bundles/authz')).arrayBuffer()))
    const before = await served()
    const bytes = randomBytes(50_000)
    const push = () =>
      server.fetch(`/v2/acme/other/blobs/uploads/?digest=${digestOf(bytes)}`, {
        method: 'POST',
        headers: { 'content-type': 'application/octet-stream' },
        body: bytes,
      })

    mountReadOnly(join(server.folder, 'data'))
    const refused = await push()
    expect(refused.status).toBe(503)
    expect(await refused.text()).toContain('cannot write at the moment')
    await pushPolicy('two', `${upstream.host}/acme/authz:latest`)
    expect(await server.look('authz')).toMatchObject({ outcome: 'failed', code: 'read_only' })
    expect(await served()).toBe(before)
    expect((await server.fetch('/v2/bundles/authz/manifests/latest')).status).toBe(200)
    expect((await server.bundle('authz')).health).toBe('stale')

    unmountAll()
    expect((await push()).status).toBe(201)
    expect(await server.look('authz')).toMatchObject({ outcome: 'released' })
    expect(await served()).not.toBe(before)
    expect((await server.bundle('authz')).health).toBe('ok')
  })
})
