// What a person decides with the command line, over a running server and over its restarts.
import { join } from 'node:path'
import { mkdirSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { BundleStatus } from '../../src/model/status.ts'
import { needs } from '../support/components.ts'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { startOlareg, type Registry } from '../support/registries.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

needs('olareg')('what a person decides', () => {
  let target: Registry
  let server: Longshore
  const data = tempDir('data')

  async function start(): Promise<void> {
    server = await startLongshore({
      config: {
        content: { path: data },
        bundles: {
          authz: { store: { type: 'local', repository: 'policies/authz' }, deploy: [{ to: 'prod' }], keep: 10 },
        },
        deployers: { prod: { type: 'oci', repository: `${target.host}/acme/authz`, tags: ['latest'] } },
      },
    })
  }

  beforeAll(async () => {
    target = await startOlareg()
    await start()
    for (const version of ['one', 'two']) await push(version)
  })

  afterAll(async () => {
    await server?.stop()
    await target?.stop()
  })

  async function push(version: string): Promise<void> {
    const folder = tempDir('policy')
    mkdirSync(join(folder, 'authz'))
    writeFileSync(join(folder, '.manifest'), JSON.stringify({ revision: version, roots: ['authz'] }))
    writeFileSync(join(folder, 'authz/policy.rego'), `package authz\n\nversion := "${version}"\n`)
    const pushed = await longshore(['push', folder, `${server.host}/policies/authz:latest`])
    expect(pushed.code, pushed.stderr).toBe(0)
    const looked = await ask('look', 'authz')
    expect(looked.code, looked.stderr).toBe(0)
  }

  const ask = (...args: string[]) => longshore([...args, '--server', server.url])

  async function status(): Promise<BundleStatus> {
    const { stdout } = await ask('status', '--json')
    return (JSON.parse(stdout) as { bundles: BundleStatus[] }).bundles[0]!
  }

  async function served(): Promise<string | null> {
    return (await fetch(`${server.url}/bundles/authz`)).headers.get('etag')
  }

  const deployed = (revision: string) =>
    waitFor(`${revision} at prod`, async () => {
      const { current, deployments } = await status()
      return current?.revision === revision && deployments[0]!.deployed === current.number
    })

  test('a rollback is served and deployed, stays over a push and a restart, and ends with unpin', async () => {
    await deployed('two')
    const two = await served()
    const back = await ask('rollback', 'authz', '--reason', 'two is wrong')
    expect(back.code, back.stderr).toBe(0)
    expect(back.stdout).toMatch(/^authz: pinned to release 1\nauthz: released /)
    expect(await served()).not.toBe(two)
    await deployed('one')
    await push('three')
    await server.stop()
    await start()
    await deployed('one')
    expect((await status()).pin).toMatchObject({ to: { release: 1 }, by: 'loopback', reason: 'two is wrong' })
    expect((await ask('status')).stdout).toContain('(pinned)')
    const off = await ask('unpin', 'authz')
    expect(off.code, off.stderr).toBe(0)
    await deployed('three')
  })

  test('a pin to what is not there is refused with what to do, and changes nothing', async () => {
    const before = await status()
    const refused = await ask('pin', 'authz', 'v9')
    expect(refused.code).toBe(3)
    expect(refused.stderr).toContain('cannot pin authz to v9: local:policies/authz has no such version')
    expect((await status()).current).toEqual(before.current)
  })

  test('held, switched off, asked for: what goes to a place is what was said', async () => {
    expect((await ask('hold', '--reason', 'freeze')).stdout).toBe('all bundles: held\n')
    await push('four')
    const plan = await ask('deploy', 'authz', '--dry-run')
    expect(plan.stdout).toBe('prod: would do nothing: held by loopback: freeze\n')
    expect((await ask('status')).stdout).toContain('authz is not deployed: freeze; go on with: longshore resume')
    expect((await ask('auto-deploy', 'authz', 'prod', 'off')).stdout).toBe('authz to prod: auto-deploy is off\n')
    expect((await ask('resume')).stdout).toBe('all bundles: deployed again\n')
    expect((await ask('deploy', 'authz', '--dry-run')).stdout).toMatch(/^prod: would put release \d+ there \(has /)
    expect((await status()).deployments[0]).toMatchObject({ autoDeploy: false, state: 'pending' })
    const asked = await ask('deploy', 'authz', 'prod')
    expect(asked.stdout).toMatch(/^prod: release \d+ goes there\n$/)
    await deployed('four')
    const { events } = (await (await fetch(`${server.url}/api/v1/bundles/authz/events`)).json()) as {
      events: { type: string }[]
    }
    expect(events.map(({ type }) => type)).toEqual(
      expect.arrayContaining([
        'release.created',
        'bundle.pinned',
        'bundle.unpinned',
        'deployment.forced',
        'deployment.succeeded',
      ]),
    )
  })

  test('whoever listens is told of it as it happens, and to the end', async () => {
    const heard = await fetch(`${server.url}/api/v1/events`, { headers: { 'Last-Event-ID': '0' } })
    let text = ''
    const ended = (async () => {
      for await (const chunk of heard.body!.pipeThrough(new TextDecoderStream())) text += chunk
    })()
    await waitFor('what happened before', () => /^event: deployment\.forced$/m.test(text))
    await ask('hold', 'authz', '--reason', 'listen')
    await waitFor('what happens', () => text.includes('"reason":"listen"'))
    const ids = [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))
    expect(ids).toEqual(ids.map((_id, at) => at + 1))
    await ask('resume', 'authz')
    await ask('hold')
    await server.stop()
    await ended
    await start()
    await server.logged({ bundle: '*', msg: 'nothing is deployed: held by loopback' })
  })
})
