// As test/e2e/fsync-order.test.ts, for what nobody pushed: a release that was fetched and is served, and a blob that is collected.
import { randomBytes } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { needs } from '../support/components.ts'
import { createDurable, isIndexed, isOn, isSync, isWrite, type Durable } from '../support/durable.ts'
import { createClient, policyArtifact, type Artifact } from '../support/kill-client.ts'
import { octets, pushArtifact } from '../support/kill-world.ts'
import { startLongshore, type Longshore } from '../support/longshore.ts'
import { createTrace, type TracedCall } from '../support/trace.ts'
import { waitFor } from '../support/wait.ts'

needs('strace')('what survives a loss of power', () => {
  const orphan = randomBytes(10_000)
  const [first, second] = [policy('one'), policy('two')] as const
  const layer = second.blobs.at(-1)!.digest
  let calls: TracedCall[]
  let durable: Durable

  beforeAll(async () => {
    const trace = createTrace()
    const upstream = await startLongshore()
    const authz = { store: { type: 'oci', repository: `${upstream.host}/acme/authz` }, schedule: 'off' }
    const content = { path: './data', gc: { grace: '10ms', schedule: 'off' } }
    await pushTo(upstream, first)
    const server = await startLongshore({ config: { content, bundles: { authz } }, under: trace.under })
    await use(upstream, server)
    await server.stop()
    await upstream.stop()
    calls = await trace.calls()
    durable = createDurable(calls, `${server.folder}/data`)
  })

  const pushTo = (server: Longshore, artifact: Artifact) =>
    pushArtifact(createClient(server.url), 'acme/authz', artifact, ['latest'])

  async function use(upstream: Longshore, server: Longshore): Promise<void> {
    const indexed = () => waitFor('the indexes to be written and noted', () => isIndexed(`${server.folder}/data`))
    const etag = (await server.fetch('/bundles/authz')).headers.get('etag')!
    expect(etag).toBe(`"${first.blobs.at(-1)!.digest}"`)
    await indexed()
    await pushTo(upstream, second)
    const waiting = server.fetch('/bundles/authz', { headers: { 'if-none-match': etag, prefer: 'wait=60' } })
    await waitFor('the client to wait', async () => (await server.metric('longshore_waiting_clients')) === 1)
    expect(await server.look('authz')).toMatchObject({ outcome: 'released' })
    expect((await waiting).status).toBe(200)
    await indexed()
    const path = `/v2/acme/orphans/blobs/uploads/?digest=${digestOf(orphan)}`
    expect((await server.fetch(path, { method: 'POST', headers: octets, body: orphan })).status).toBe(201)
    await indexed()
    const headers = { 'content-type': 'application/json' }
    const collected = await server.fetch('/api/v1/gc', { method: 'POST', headers, body: '{}' })
    expect(await collected.json()).toMatchObject({ files: 1, bytes: orphan.length })
  }

  test('what a release has is on the disk, then in the state, then served', () => {
    const served = durable.answer(200, layer)
    const isWal = (call: TracedCall) => isOn(call, durable.wal)
    for (const digest of [second.digest, layer]) {
      const renames = durable.renamesTo(durable.blobPath(digest))
      expect(renames).toHaveLength(1)
      const named = durable.expectDurable(renames[0]!)
      const written = calls.find((call) => isWrite(call) && isWal(call) && call.start > named.end)!
      const synced = calls.find((call) => isSync(call) && isWal(call) && call.start > written.end)!
      expect(synced.end).toBeLessThan(served.start)
    }
  })

  test('a blob is nobody’s in the state before its file goes, and only then forgotten', () => {
    const { end } = durable.answer(201, `/v2/acme/orphans/blobs/${digestOf(orphan)}`)
    const path = durable.blobPath(digestOf(orphan))
    const unlinked = durable.one('the unlink of the blob', ({ name, args }) => {
      return name.startsWith('unlink') && args.includes(`"${path}"`)
    })
    durable.expectDurableState(end, unlinked.start)
    expect(calls.some((call) => isWrite(call) && isOn(call, durable.wal) && call.start > unlinked.end)).toBe(true)
  })
})

function policy(version: string): Artifact {
  return policyArtifact('authz', version, randomBytes(5_000))
}
