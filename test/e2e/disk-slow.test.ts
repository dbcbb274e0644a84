// A disk that is slow: strace holds up each fsync and each write of the real program, in whichever thread makes it.
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { component, needs } from '../support/components.ts'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { pushPolicy } from '../support/policy.ts'
import { startProcess, type RunningProcess } from '../support/process.ts'
import { waitFor } from '../support/wait.ts'

const mebi = 1024 ** 2
const bundles = { authz: { store: { type: 'local', repository: 'policies/authz' }, schedule: 'off' } }
// Both shorter than what the disk needs in all.
const config = { bundles, server: { limits: { stall_timeout: '1s' }, shutdown_timeout: '5s' } }

/** From now on each write and each fsync takes so much longer; returns how to end that. */
async function slowDown({ pid }: RunningProcess, { writeMs = 0, syncMs = 0 }): Promise<() => Promise<void>> {
  const [writes, syncs] = ['pwrite64,pwritev,writev', 'fsync,fdatasync']
  const strace = await startProcess({
    command: component('strace'),
    args: [
      ...['-f', '-p', String(pid), '-o', '/dev/null', '-e', `trace=${writes},${syncs}`],
      ...['-e', `inject=${writes}:delay_enter=${writeMs * 1000}`, '-e', `inject=${syncs}:delay_enter=${syncMs * 1000}`],
    ],
    ready: () => readdirSync(`/proc/${pid}/task`).every((thread) => isTraced(`/proc/${pid}/task/${thread}`)),
  })
  return () => strace.stop({ signal: 'SIGINT' })
}

function isTraced(task: string): boolean {
  return !/^TracerPid:\t0$/m.test(readFileSync(`${task}/status`, 'utf8'))
}

/** The most memory it ever had. */
function peakBytes({ process }: Longshore): number {
  const [, kibi] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${process.pid}/status`, 'utf8'))!
  return Number(kibi) * 1024
}

function pushBlob(server: Longshore, size: number) {
  const piece = randomBytes(mebi)
  const hash = createHash('sha256')
  for (let left = size; left > 0; left -= mebi) hash.update(piece)
  const digest = `sha256:${hash.digest('hex')}` as const
  const sent = { bytes: 0 }
  async function* pieces() {
    for (; sent.bytes < size; sent.bytes += mebi) yield await Promise.resolve(piece)
  }
  const path = `/v2/acme/blobs/blobs/uploads/?digest=${digest}`
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(size) }
  const answered = server.fetch(path, { method: 'POST', headers, body: pieces(), duplex: 'half' })
  return { digest, sent, answered }
}

function pushBytes(server: Longshore, bytes: Buffer) {
  const path = `/v2/acme/blobs/blobs/uploads/?digest=${digestOf(bytes)}`
  return server.fetch(path, { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: bytes })
}

needs('strace')('a slow disk', () => {
  let server: Longshore
  let undo: () => Promise<void> = () => Promise.resolve()

  beforeAll(async () => {
    server = await startLongshore({ config })
    await pushPolicy('one', `${server.host}/policies/authz:latest`)
    await waitFor('the bundle', async () => (await server.fetch('/bundles/authz')).status === 200)
  })

  afterEach(() => undo())
  afterAll(() => server.stop())

  test('holds up who writes, in step with what it takes, and nobody else', async () => {
    undo = await slowDown(server.process, { writeMs: 20, syncMs: 400 })
    const before = peakBytes(server)
    const size = 256 * mebi
    const { digest, sent, answered } = pushBlob(server, size)
    let isDone = false
    const pushed = answered.finally(() => (isDone = true))
    await waitFor('the push to be on its way', () => sent.bytes > 8 * mebi)
    for (let i = 0; i < 10; i++) {
      for (const path of ['/bundles/authz', '/v2/policies/authz/manifests/latest', '/health/ready']) {
        expect((await server.fetch(path)).status).toBe(200)
      }
    }
    expect(isDone).toBe(false)
    expect(sent.bytes).toBeLessThan(size)
    expect((await pushed).status).toBe(201)
    expect(peakBytes(server) - before).toBeLessThan(size / 2)
    expect((await server.fetch(`/v2/acme/blobs/blobs/${digest}`, { method: 'HEAD' })).status).toBe(200)
  })

  test('that takes longer than a client may stand still is no fault of the client’s', async () => {
    undo = await slowDown(server.process, { syncMs: 1500 })
    expect((await pushBytes(server, randomBytes(1000))).status).toBe(201)
  })

  test('does not keep it from ending, and nothing that was acknowledged is lost', async () => {
    undo = await slowDown(server.process, { writeMs: 20, syncMs: 300 })
    const bytes = randomBytes(1000)
    expect((await pushBytes(server, bytes)).status).toBe(201)
    const { sent, answered } = pushBlob(server, 512 * mebi)
    const cut = answered.then(
      ({ status }) => status,
      () => 0,
    )
    await waitFor('the push to be on its way', () => sent.bytes > 8 * mebi)
    await server.process.stop({ timeoutMs: 40_000 })
    expect(await server.process.exited).toMatchObject({ signal: null })
    expect(await cut).not.toBe(201)
    const verified = await longshore(['verify-content', '--json', '-c', server.configFile])
    expect(verified.code, verified.stderr).toBe(0)
    const path = join(server.folder, 'data/blobs/sha256', digestOf(bytes).slice(7))
    expect(readFileSync(path).equals(bytes)).toBe(true)
  })
})
