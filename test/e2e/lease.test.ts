import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { silentLogger } from '../../src/lib/logger.ts'
import { Redactor } from '../../src/lib/redact.ts'
import { connect, type Database } from '../../src/state/postgres/connect.ts'
import { Lease, makeLeaseTable } from '../../src/state/postgres/lease.ts'
import { FakeClock } from '../support/clock.ts'
import { needs } from '../support/components.ts'
import { postgresOptions, startPostgres, type PostgresServer } from '../support/postgres.ts'

needs('postgresql')('the lease', () => {
  let server: PostgresServer
  let url: string
  let clock: FakeClock
  const open: Database[] = []

  beforeAll(async () => {
    server = await startPostgres()
  })

  afterAll(() => server.stop())

  beforeEach(async () => {
    url = await server.createDatabase()
    clock = new FakeClock()
  })

  afterEach(async () => {
    for (const database of open.splice(0)) await database.close()
  })

  /** Renewed by no clock but ours: the database's own says when it is over. */
  async function leaseOf(title: string, { durationMs = 60_000, name = 'instance' } = {}) {
    const database = await connect(postgresOptions(url), { redactor: new Redactor() })
    open.push(database)
    await makeLeaseTable(database)
    const limits = { durationMs, renewMs: durationMs / 3, pollMs: 1 }
    const lease = new Lease({ database, name, holder: { id: title, title }, limits, clock, logger: silentLogger })
    const write = () => database.kysely.transaction().execute((trx) => lease.fence(trx))
    return { lease, database, write }
  }

  /** As if its time had passed. */
  const expire = () => server.query(url, "update leases set until = clock_timestamp() - interval '1 second'")

  it('is one’s at a time, and says whose', async () => {
    const [a, b] = [await leaseOf('a'), await leaseOf('b')]
    expect(await a.lease.take()).toBe('taken')
    expect(await b.lease.take()).toEqual({ heldBy: 'a' })
    await a.lease.check()
    await a.write()
    await expect(b.write()).rejects.toMatchObject({ code: 'locked' })
    await a.lease.release()
    expect(await b.lease.take()).toBe('taken')
  })

  it('is one’s of many that want it at once', async () => {
    const all = await Promise.all(['a', 'b', 'c', 'd'].map((title) => leaseOf(title)))
    const taken = await Promise.all(all.map(({ lease }) => lease.take()))
    expect(taken.filter((answer) => answer === 'taken')).toHaveLength(1)
    await expire()
    const again = await Promise.all(all.map(({ lease }) => lease.take()))
    expect(again.filter((answer) => answer === 'taken')).toHaveLength(1)
  })

  it('is another one by another name', async () => {
    const [a, b] = [await leaseOf('a', { name: 'bundle one' }), await leaseOf('b', { name: 'bundle two' })]
    expect([await a.lease.take(), await b.lease.take()]).toEqual(['taken', 'taken'])
  })

  it('that ran out is still good where nobody took it, and is renewed', async () => {
    const a = await leaseOf('a')
    await a.lease.take()
    await expire()
    await clock.advance(50_000)
    await a.lease.check()
    await a.write()
    expect(await (await leaseOf('b')).lease.take()).toEqual({ heldBy: 'a' })
  })

  it('that was taken over is lost: whoever had it hears of it, and neither acts nor writes', async () => {
    const [a, b] = [await leaseOf('a'), await leaseOf('b')]
    await a.lease.take()
    await expire()
    await b.lease.take()
    await expect(a.write()).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringMatching(/^b has taken over/) as string,
    })
    expect((await a.lease.lost).code).toBe('locked')
    await expect(a.lease.check()).rejects.toMatchObject({ code: 'locked' })
    // It gives back what is not its own to nobody.
    await a.lease.release()
    await b.lease.check()
    await b.write()
  })

  it.each([
    ['its process stood still', (ms: number) => clock.stall(ms)],
    ['the machine slept, which the clock of durations does not see', (ms: number) => clock.jump(ms)],
    ['somebody set the clock back', (ms: number) => clock.jump(-ms)],
  ])('is asked for again before anything is done after %s', async (_what, pass) => {
    const [a, b] = [await leaseOf('a'), await leaseOf('b')]
    await a.lease.take()
    await expire()
    await b.lease.take()
    // Too little has passed for anybody else to have it, as far as it knows.
    await a.lease.check()
    pass(59_000)
    await expect(a.lease.check()).rejects.toMatchObject({ code: 'locked' })
  })

  it('is not taken over in the middle of a transaction that has begun to write', async () => {
    const [a, b] = [await leaseOf('a'), await leaseOf('b')]
    await a.lease.take()
    await expire()
    const order: string[] = []
    let taking: Promise<unknown> | undefined
    await a.database.kysely.transaction().execute(async (trx) => {
      await a.lease.fence(trx)
      taking = b.lease.take().then(() => order.push('taken'))
      await sql`select pg_sleep(0.3)`.execute(trx)
      order.push('written')
    })
    await taking
    expect(order).toEqual(['written', 'taken'])
    await expect(a.write()).rejects.toMatchObject({ code: 'locked' })
  })

  it('of a process that was stopped in the middle of a transaction is free once that was long enough ago', async () => {
    const options = { ...postgresOptions(url), lease: { durationMs: 300, renewMs: 100, pollMs: 10 } }
    const database = await connect(options, { redactor: new Redactor() })
    await makeLeaseTable(database)
    const limits = options.lease
    const a = new Lease({
      database,
      name: 'instance',
      holder: { id: 'a', title: 'a' },
      limits,
      clock,
      logger: silentLogger,
    })
    const b = await leaseOf('b', { durationMs: 300 })
    await a.take()
    const ended = database.kysely
      .transaction()
      .execute(async (trx) => {
        await a.fence(trx)
        while ((await b.lease.take()) !== 'taken');
        await sql`select 1`.execute(trx)
      })
      .catch((error: unknown) => error)
    expect(await ended).toBeInstanceOf(Error)
    await database.close()
  })
})
