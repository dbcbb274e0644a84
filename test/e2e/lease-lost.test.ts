import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { needs } from '../support/components.ts'
import { startPostgres, type PostgresServer } from '../support/postgres.ts'
import { isReady, lasting, openWire, pair, push, swift } from '../support/standby.ts'
import { waitFor } from '../support/wait.ts'

needs('postgresql')('an instance that acts', () => {
  let postgres: PostgresServer

  beforeAll(async () => {
    postgres = await startPostgres()
  })

  afterAll(() => postgres.stop())

  it('one that was stopped for longer than its lease does nothing more, and ends with a word', async () => {
    const { start, deployed, data, url } = await pair(postgres, swift)
    const first = await start()
    await push(first, 'x')
    await waitFor('the deployment', () => deployed().length === 1)
    const second = await start({ until: 'standby' })
    process.kill(first.process.pid, 'SIGSTOP')
    // They wait in its socket, and it reads them when it goes on.
    const asked = [
      first.fetch('/api/v1/bundles/authz/deploy', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: '{}',
      }),
      first.fetch('/api/v1/gc', { method: 'POST' }),
      first.fetch('/v2/policies/authz/manifests/x', { method: 'DELETE' }),
      first.fetch('/api/v1/bundles/authz/pin', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: '{"version":"x"}',
      }),
    ].map((answer) => answer.then(({ status }) => status).catch(() => 0))
    await waitFor('the second to take over', () => isReady(second))
    await push(second, 'y')
    await waitFor('the deployment', () => deployed().length === 2)
    const countEvents = () => postgres.query(url, 'select count(*)::int as count from events')
    await waitFor('all to be told', async () =>
      (await second.bundle('authz')).deployments.every(
        ({ state, deployed: release }) => state === 'done' && release === 2,
      ),
    )
    const before = await countEvents()
    process.kill(first.process.pid, 'SIGCONT')
    expect(await first.process.exited).toEqual({ code: 1, signal: null })
    expect(first.process.output()).toMatch(/process \d+\) has taken over the database longshore_\d+ at/)
    expect((await Promise.all(asked)).filter((status) => status > 0 && status < 500)).toEqual([])
    expect(deployed()).toEqual([`1 ${first.process.pid}`, `2 ${second.process.pid}`])
    expect(await countEvents()).toEqual(before)
    expect((await second.fetch('/v2/policies/authz/manifests/x')).status).toBe(200)
    expect(existsSync(join(data, 'scratch'))).toBe(true)
    await second.stop()
  })

  it('one whose connection is dead is taken over from, serves what it has, and ends once it hears of it', async () => {
    const { start, url, deployed } = await pair(postgres, swift)
    const wire = await openWire(postgres.port)
    const first = await start({ to: url.replace(`:${postgres.port}/`, `:${wire.port}/`) })
    await push(first, 'x')
    await waitFor('the deployment', () => deployed().length === 1)
    const second = await start({ until: 'standby' })
    wire.freeze()
    await waitFor('the second to take over', () => isReady(second))
    expect((await first.fetch('/bundles/authz')).status).toBe(200)
    await push(second, 'y')
    wire.thaw()
    expect(await first.process.exited).toEqual({ code: 1, signal: null })
    await waitFor('the deployment', () => deployed().length === 2)
    expect(deployed()).toEqual([`1 ${first.process.pid}`, `2 ${second.process.pid}`])
    await second.stop()
    wire.close()
  })

  it('one that acts goes on after its Postgres was restarted; what is in memory is served meanwhile', async () => {
    const { start } = await pair(postgres, lasting)
    const first = await start()
    await push(first, 'x')
    const second = await start({ until: 'standby' })
    await postgres.restart('fast', async () => {
      expect((await first.fetch('/bundles/authz')).status).toBe(200)
    })
    await push(first, 'y')
    expect(await isReady(first)).toBe(true)
    expect((await first.releases('authz')).map(({ number }) => number)).toEqual([2, 1])
    expect(await isReady(second)).toBe(false)
    await Promise.all([first.stop(), second.stop()])
  })
})
