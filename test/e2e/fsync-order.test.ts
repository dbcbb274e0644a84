// What is acknowledged survives a loss of power. Killing a process does not show that: the kernel has its writes already. So
// a real server is watched from outside, and the order of its writes, fsyncs and renames is held to what disks promise.
import { randomBytes } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { needs } from '../support/components.ts'
import { createDurable, isIndexed, isOn, isSync, isWrite, type Durable } from '../support/durable.ts'
import { startLongshore, type Longshore } from '../support/longshore.ts'
import { createTrace, type TracedCall } from '../support/trace.ts'
import { waitFor } from '../support/wait.ts'

const mediaType = 'application/vnd.oci.image.manifest.v1+json'
const octets = { 'content-type': 'application/octet-stream' }

needs('strace')('before something is acknowledged', () => {
  const single = randomBytes(300_000)
  const chunked = randomBytes(300_000)
  const [singleDigest, chunkedDigest] = [digestOf(single), digestOf(chunked)]
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType,
      config: { mediaType: 'application/vnd.acme.config', digest: singleDigest, size: single.length },
      layers: [{ mediaType: 'application/vnd.acme.layer', digest: chunkedDigest, size: chunked.length }],
    }),
  )
  const manifestDigest = digestOf(manifest)
  let folder: string
  let calls: TracedCall[]
  let durable: Durable

  beforeAll(async () => {
    const trace = createTrace()
    const server = await startLongshore({ under: trace.under })
    folder = server.folder
    await push(server)
    await server.stop()
    calls = await trace.calls()
    durable = createDurable(calls, `${folder}/data`)
  })

  /** One after the other, so that what lies between two answers belongs to the second. */
  async function push(server: Longshore): Promise<void> {
    const send = async (status: number, method: string, path: string, body?: Buffer, headers = {}) => {
      const answer = await server.fetch(path, { method, headers, ...(body && { body }) })
      expect(answer.status, await answer.text()).toBe(status)
      return answer
    }
    const uploads = '/v2/acme/widgets/blobs/uploads/'
    await send(201, 'POST', `${uploads}?digest=${singleDigest}`, single, octets)
    const session = (await send(202, 'POST', uploads)).headers.get('location')!
    for (const [first, last] of [
      [0, 99_999],
      [100_000, 299_999],
    ] as const) {
      const range = { ...octets, 'content-range': `${first}-${last}` }
      await send(202, 'PATCH', session, chunked.subarray(first, last + 1), range)
    }
    await send(201, 'PUT', `${session}?digest=${chunkedDigest}`)
    await send(201, 'PUT', '/v2/acme/widgets/manifests/v1', manifest, { 'content-type': mediaType })
    // Written soon after, which would come between the next two.
    await waitFor('the index to be written and noted', () => isIndexed(`${folder}/data`))
    await send(201, 'POST', `/v2/acme/other/blobs/uploads/?mount=${singleDigest}&from=acme/widgets`)
    await send(202, 'DELETE', '/v2/acme/widgets/manifests/v1')
    await waitFor('the index to be written and noted', () => isIndexed(`${folder}/data`))
    await send(202, 'DELETE', `/v2/acme/widgets/manifests/${manifestDigest}`)
  }

  const answers = () => ({
    single: durable.answer(201, `/v2/acme/widgets/blobs/${singleDigest}`),
    chunked: durable.answer(201, `/v2/acme/widgets/blobs/${chunkedDigest}`),
    manifest: durable.answer(201, `/v2/acme/widgets/manifests/${manifestDigest}`),
    mounted: durable.answer(201, `/v2/acme/other/blobs/${singleDigest}`),
  })

  test.each([
    ['a blob in one request', singleDigest, 'single'],
    ['a blob in chunks', chunkedDigest, 'chunked'],
    ['a manifest', manifestDigest, 'manifest'],
  ] as const)('%s is on the disk, then in the catalog', (_, digest, which) => {
    const renames = durable.renamesTo(durable.blobPath(digest))
    expect(renames).toHaveLength(1)
    const named = durable.expectDurable(renames[0]!)
    const { start } = answers()[which]
    expect(named.end).toBeLessThan(start)
    durable.expectDurableState(named.end, start)
  })

  test('a mount and a deletion are in the catalog', () => {
    const { manifest, mounted } = answers()
    durable.expectDurableState(manifest.end, mounted.start)
    const deleted = calls.find(
      (call) => isWrite(call) && call.args.includes('HTTP/1.1 202 ') && call.start > mounted.end,
    )
    durable.expectDurableState(mounted.end, deleted!.start)
  })

  test('an index is on the disk before the catalog says so, and what folders it lies in', () => {
    const repositories = `${folder}/data/repositories`
    const layout = `${repositories}/acme/widgets`
    const renames = durable.renamesTo(`${layout}/index.json`)
    // After the push, and after the deletion: at the latest when it stopped.
    expect(renames).toHaveLength(2)
    for (const renamed of renames) {
      const named = durable.expectDurable(renamed)
      const noted = calls.find((call) => isWrite(call) && isOn(call, durable.wal) && call.start > renamed.end)
      expect(named.end).toBeLessThan(noted!.start)
    }
    const marker = durable.one('the fsync of oci-layout', (call) => isSync(call) && isOn(call, `${layout}/oci-layout`))
    expect(marker.end).toBeLessThan(renames[0]!.start)
    const made = calls.filter(({ name, args }) => name.startsWith('mkdir') && args.includes(`"${layout}"`)).at(-1)!
    for (const parent of [`${folder}/data`, repositories, `${repositories}/acme`]) {
      const isNamed = (call: TracedCall) => isSync(call) && isOn(call, parent) && call.start > made.end
      expect(calls.find(isNamed)?.end, `the fsync of ${parent}`).toBeLessThan(renames[0]!.start)
    }
  })

  test('an index that is taken away is gone from the disk before the catalog says so', () => {
    const repositories = `${folder}/data/repositories`
    const removed = durable.one('the rmdir of acme', ({ name, args }) => {
      return (name === 'rmdir' || name === 'unlinkat') && args.includes(`"${repositories}/acme"`)
    })
    const synced = calls.find((call) => isSync(call) && isOn(call, repositories) && call.start > removed.end)
    const noted = calls.find((call) => isWrite(call) && isOn(call, durable.wal) && call.start > removed.end)
    expect(synced?.end).toBeLessThan(noted!.start)
  })

  test('the database and its log have durable names', () => {
    const first = calls.find((call) => isWrite(call) && isOn(call, durable.wal))!
    const synced = calls.filter((call) => isSync(call) && isOn(call, `${folder}/data`))
    const { single } = answers()
    expect(synced.filter(({ end }) => end < single.start).length).toBeGreaterThan(0)
    expect(synced.some(({ start, end }) => start > first.end && end < single.start)).toBe(true)
  })
})
