// What the registry watcher was used for, all of it at once: images of a real registry that is not Docker Hub, its decisions in a real
// Postgres, its routes, and who is told.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { needs } from '../support/components.ts'
import { startLongshore, type Longshore } from '../support/longshore.ts'
import { startPostgres, type PostgresServer } from '../support/postgres.ts'
import { startReceiver, type Receiver } from '../support/receiver.ts'
import { startDistributionV3, type Registry } from '../support/registries.ts'
import { imageOf } from '../support/repository.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'
import { openRepository } from './artifact-support.ts'

needs('distribution', 'postgresql')('the work of a registry watcher', () => {
  const folder = tempDir('longshore')
  const log = join(tempDir('deployed'), 'log')
  let [registry, postgres, slack]: [Registry?, PostgresServer?, Receiver?] = []
  let config: Record<string, unknown>
  let server: Longshore

  /** Returns what the tag stands for from now on. */
  async function push(tag: string, text = tag): Promise<string> {
    const repository = openRepository(registry!.host, 'shop/web')
    const { digest } = await imageOf(repository, [`an image of ${text}`], { tags: [tag] })
    await repository.close()
    return digest
  }

  const deployed = () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [])
  const isDeployed = (count: number, what: string) =>
    waitFor(`${what} as deployment ${count}`, async () => {
      const { deployments } = await server.bundle('web')
      return deployed().length >= count && deployments[0]!.state === 'done'
    })
  /** So many looks go by. */
  async function looks(count: number): Promise<void> {
    const seen = () => server.metric('longshore_looks_total', { bundle: 'web' })
    const before = await seen()
    await waitFor(`${count} looks`, async () => (await seen()) >= before + count)
  }
  const post = async (path: string, body: object = {}) => {
    const answer = await server.fetch(path, { method: 'POST', body: JSON.stringify(body) })
    return [answer.status, ((await answer.json()) as { message: string }).message]
  }
  const repo = async () => ((await (await server.fetch('/repos')).json()) as Record<string, unknown>).web

  beforeAll(async () => {
    ;[registry, postgres, slack] = await Promise.all([startDistributionV3(), startPostgres(), startReceiver()])
    config = {
      state: { type: 'postgres', url: await postgres.createDatabase() },
      bundles: {
        web: {
          store: { type: 'oci', repository: `${registry.host}/shop/web` },
          ...{ follow: { semver: '*' }, pull: false, schedule: '300ms', deploy: [{ to: 'job' }], publish: ['ops'] },
        },
      },
      deployers: {
        job: {
          type: 'command',
          command: ['/bin/sh', '-c', 'echo "$LONGSHORE_VERSION $LONGSHORE_DIGEST" >> "$LOG"'],
          env: { LOG: log },
        },
      },
      publishers: { ops: { type: 'slack', url: `${slack.origin}/services/T0/B0/x` } },
    }
    for (const tag of ['v1.0.0', 'v1.9.0', 'main', 'v2', 'release-7']) await push(tag)
    await push('v1.10.0')
    server = await startLongshore({ folder, config })
  })
  afterAll(async () => {
    for (const one of [server, slack, postgres, registry]) await one?.stop()
  })

  test('the newest release tag is deployed, and each newer one', async () => {
    await isDeployed(1, 'v1.10.0')
    const digest = await push('v1.11.0')
    await isDeployed(2, 'v1.11.0')
    await push('v1.2.0')
    await push('main', 'another main')
    await looks(3)
    expect(deployed().map((line) => line.split(' ')[0])).toEqual(['v1.10.0', 'v1.11.0'])
    expect(deployed()[1]).toBe(`v1.11.0 ${digest}`)
    expect(await repo()).toEqual({
      ...{ auto_deploy: true, pinned_tag: '', pinned_tag_value: 'v1.11.0' },
      tags: ['main', 'release-7', 'v1.0.0', 'v1.10.0', 'v1.11.0', 'v1.2.0', 'v1.9.0', 'v2'],
    })
  })

  test('a pinned tag is deployed, and again when its digest changes; newer ones are not', async () => {
    expect(await post('/tags/web', { pinned_tag: 'v1.0.0' })).toEqual([200, 'Deploying to v1.0.0'])
    await isDeployed(3, 'v1.0.0')
    await push('v1.12.0')
    await looks(3)
    expect(deployed()).toHaveLength(3)
    const moved = await push('v1.0.0', 'v1.0.0, made again')
    await isDeployed(4, 'the pinned tag that moved')
    expect(deployed()[3]).toBe(`v1.0.0 ${moved}`)
    expect(await repo()).toMatchObject({ pinned_tag: 'v1.0.0', pinned_tag_value: 'v1.0.0' })
  })

  test('what comes while auto-deploy is off goes nowhere, and is caught up with when it is on', async () => {
    expect(await post('/tags/web', { auto_deploy: false })).toEqual([200, 'Auto deployment set to false'])
    await push('v1.0.0', 'v1.0.0, a third time')
    const last = await push('v1.0.0', 'v1.0.0, a fourth time')
    await looks(3)
    expect([deployed().length, await repo()]).toEqual([4, expect.objectContaining({ auto_deploy: false })])
    expect(await post('/tags/web', { auto_deploy: true })).toEqual([200, 'Auto deployment set to true'])
    await isDeployed(5, 'the newest of them')
    expect(deployed()[4]).toBe(`v1.0.0 ${last}`)
  })

  test('what comes while nothing runs is caught up with, once; decisions stay', async () => {
    await server.process.kill()
    const last = await push('v1.0.0', 'v1.0.0, while nothing ran')
    server = await startLongshore({ folder, config })
    await isDeployed(6, 'what came meanwhile')
    await looks(3)
    expect(deployed().slice(5)).toEqual([`v1.0.0 ${last}`])
    expect(await repo()).toMatchObject({ auto_deploy: true, pinned_tag: 'v1.0.0' })
  })

  test('a reset unpins, and deploys the newest', async () => {
    expect(await post('/tags/web/reset')).toEqual([200, 'Deploying to '])
    await isDeployed(7, 'v1.12.0')
    expect(deployed()[6]).toMatch(/^v1\.12\.0 /)
    expect(await post('/tags/web/reset')).toEqual([200, 'pinned_tag is already '])
    await looks(2)
    expect(deployed()).toHaveLength(7)
  })

  test('the channel is told of each deployment, from what to what, and of the switch', async () => {
    const texts = () => slack!.requests.map(({ body }) => (JSON.parse(body.toString()) as { text: string }).text)
    await waitFor('the last of it', () => texts().some((text) => text.includes('v1.12.0')))
    // Two pushes may come between two looks, or not.
    const told = texts().map((text) => text.replaceAll('&gt;', '>').replaceAll(/ \(release \d+\)|, after .*/g, ''))
    expect([...new Set(told)]).toEqual([
      'web: v1.10.0 is deployed to job by itself',
      'web: v1.10.0 → v1.11.0 is deployed to job by itself',
      'web: v1.11.0 → v1.0.0 is deployed to job by loopback',
      'web: v1.0.0 → v1.0.0 is deployed to job by loopback',
      'Auto-deploy of web was switched off by loopback',
      'Auto-deploy of web was switched on by loopback',
      'web: v1.0.0 → v1.12.0 is deployed to job by loopback',
    ])
  })
})
