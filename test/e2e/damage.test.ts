import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { startLongshore, type Longshore } from '../support/longshore.ts'
import { policyFiles, pushPolicy, writeFiles } from '../support/policy.ts'
import { longshore } from '../support/longshore.ts'
import { waitFor } from '../support/wait.ts'

/** The disk, or somebody, damages what is served: it is noticed, never handed out, and fetched again from where it came. */
describe('a stored bundle that is', () => {
  let upstream: Longshore
  let server: Longshore
  let bytes: Buffer

  const config = () => ({
    bundles: {
      mirrored: { store: { type: 'oci', repository: `${upstream.host}/acme/authz` }, schedule: '1h' },
      own: { store: { type: 'local', repository: 'policies/authz' }, schedule: '1h' },
    },
  })
  const file = () => join(server.folder, 'data/blobs', digestOf(bytes).replace(':', '/'))

  async function restartAfter(change: () => void): Promise<void> {
    await server.stop()
    change()
    server = await startLongshore({ config: config(), folder: server.folder })
  }

  /** Right bytes or none. */
  async function get(name: string): Promise<number> {
    const answer = await server.fetch(`/bundles/${name}`)
    if (answer.status === 200) expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true)
    return answer.status
  }

  beforeAll(async () => {
    upstream = await startLongshore()
    await pushPolicy('one', `${upstream.host}/acme/authz:latest`)
    server = await startLongshore({ config: config() })
    bytes = Buffer.from(await (await server.fetch('/bundles/mirrored')).arrayBuffer())
  })

  afterAll(async () => {
    await server?.stop()
    await upstream?.stop()
  })

  it.each([
    ['gone', () => rmSync(file())],
    ['cut short', () => writeFileSync(file(), bytes.subarray(0, 100))],
    ['changed by one bit', () => writeFileSync(file(), flipped(bytes))],
  ])('%s comes again from its registry', async (_what, damage) => {
    await restartAfter(damage)
    await waitFor('the bundle to be served again', async () => (await get('mirrored')) === 200)
    expect(readFileSync(file()).equals(bytes)).toBe(true)
    expect(await server.releases('mirrored')).toHaveLength(1)
    expect((await server.bundle('mirrored')).health).toBe('ok')
  })

  it('lost where it was pushed to is asked for plainly, and comes with the same push', async () => {
    await pushPolicy('own', `${server.host}/policies/authz:latest`)
    await waitFor('the bundle', async () => (await server.fetch('/bundles/own')).status === 200)
    const theirs = bytes
    bytes = Buffer.from(await (await server.fetch('/bundles/own')).arrayBuffer())
    await restartAfter(() => rmSync(file()))
    await waitFor('a look', async () => (await server.bundle('own')).look?.outcome === 'failed')
    expect(await get('own')).toBe(503)
    expect(await server.bundle('own')).toMatchObject({ look: { code: 'corrupt' }, health: 'stale' })
    const pushed = await longshore(['push', writeFiles(policyFiles('own')), `${server.host}/policies/authz:latest`])
    expect(pushed.code, pushed.stderr).toBe(0)
    await waitFor('the bundle to be served again', async () => (await get('own')) === 200)
    expect(existsSync(file())).toBe(true)
    bytes = theirs
  })
})

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  copy[copy.length >> 1]! ^= 1
  return copy
}
