import { afterAll, beforeAll, expect, it } from 'vitest'
import { stateSchema } from '../../src/config/schema/state.ts'
import { migrations } from '../../src/state/migrations/migrate.ts'
import { needs } from '../support/components.ts'
import { startPostgres, type PostgresServer } from '../support/postgres.ts'
import { isReady, lasting, pair, push } from '../support/standby.ts'
import { waitFor } from '../support/wait.ts'

/** So long after the one that acts is gone, another one does; what it then has to do takes what the machine needs for it. */
const takeoverMs = 10_000

needs('postgresql')('two instances on one Postgres and one folder', () => {
  let postgres: PostgresServer

  beforeAll(async () => {
    postgres = await startPostgres()
  })

  afterAll(() => postgres.stop())

  it('the second says that it stands by, and takes over when the first is killed', async () => {
    const { start, deployed } = await pair(postgres)
    const first = await start()
    await push(first, 'x')
    await waitFor('the deployment', () => deployed().length === 1)
    const second = await start({ until: 'standby' })

    await waitFor('it to say so', () =>
      second.log().some(({ msg }) => /stands by: .*process \d+\) acts/.test(String(msg))),
    )
    const live = await second.fetch('/health/live')
    expect([live.status, await live.json()]).toEqual([200, { ready: true, reasons: [], warnings: [] }])
    const ready = await second.fetch('/health/ready')
    expect(ready.status).toBe(503)
    expect(await ready.json()).toEqual({
      ready: false,
      reasons: [expect.stringContaining(`process ${first.process.pid}`) as string],
      warnings: [],
    })
    for (const path of ['/bundles/authz', '/v2/', '/api/v1/bundles', '/repos', '/metrics', '/', '/ping']) {
      const answer = await second.fetch(path)
      expect([path, answer.status, answer.headers.get('retry-after')]).toEqual([path, 503, '5'])
      expect(await answer.text()).toContain('stands by')
    }
    expect((await second.fetch('/v2/policies/authz/blobs/uploads/', { method: 'POST', body: 'x' })).status).toBe(503)

    const { lease } = stateSchema.parse({ type: 'postgres', url: 'postgres://a@b/c' }) as {
      lease: Record<string, number>
    }
    expect(lease.duration! + lease.poll!).toBeLessThan(takeoverMs)
    await first.process.kill()
    await waitFor('the second to take over', () => isReady(second))
    expect((await second.fetch('/bundles/authz')).status).toBe(200)
    await push(second, 'y')
    await waitFor('the deployment', () => deployed().length === 2)
    expect(deployed()).toEqual([`1 ${first.process.pid}`, `2 ${second.process.pid}`])
    expect((await second.releases('authz')).map(({ number }) => number)).toEqual([2, 1])
    // And the other way round: the one that was killed comes back, and the other one is stopped.
    const third = await start({ until: 'standby' })
    await second.stop()
    await waitFor('the third to take over', () => isReady(third))
    expect((await third.releases('authz')).map(({ number }) => number)).toEqual([2, 1])
    await third.stop()
  })

  it('one that stands by is stopped at once, and well', async () => {
    const { start } = await pair(postgres, lasting)
    const first = await start()
    const second = await start({ until: 'standby' })
    await second.stop()
    expect(await second.process.exited).toEqual({ code: 0, signal: null })
    expect(await isReady(first)).toBe(true)
    await first.stop()
  })

  it('of many that start at once on an empty database one acts', async () => {
    const { start, url } = await pair(postgres, lasting)
    const all = await Promise.all(Array.from({ length: 3 }, () => start({ until: 'either' })))
    await waitFor('one of them', async () => (await Promise.all(all.map(isReady))).includes(true))
    expect((await Promise.all(all.map(isReady))).filter(Boolean)).toHaveLength(1)
    expect(await postgres.query(url, 'select version from schema_version')).toEqual([{ version: migrations.length }])
    await Promise.all(all.map((one) => one.stop()))
  })
})
