import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createMaintenance, type Maintenance } from '../../../src/app/maintenance.ts'
import type { Config } from '../../../src/config/config.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { parseSchedule } from '../../../src/lib/schedule.ts'
import { FakeClock } from '../../support/clock.ts'
import { tempDir } from '../../support/temp.ts'
import { waitFor } from '../../support/wait.ts'
import { from, openRegistry, type Opened } from '../registry/open.ts'

const hour = 3_600_000
let opened: Opened
let clock: FakeClock
let maintenance: Maintenance
let runs: string[]
/** Collections, whether they have come to their end or not: that takes longer than the clock tells. */
let begun: number
let schedule: string

beforeEach(async () => {
  clock = new FakeClock(Date.now())
  opened = await openRegistry(undefined, { clock })
  // The registry looks once for indexes that are due.
  await clock.advance(1000)
  runs = []
  begun = 0
  const { collection } = opened.state
  const repositories = collection.repositories.bind(collection)
  collection.repositories = (page) => {
    if (page.after === '') begun++
    return repositories(page)
  }
  schedule = '1d'
  await start()
})

afterEach(async () => {
  await maintenance.close()
  await opened.close()
})

async function start(): Promise<void> {
  maintenance = createMaintenance({
    ...opened,
    config: () =>
      ({
        bundles: [],
        content: { path: opened.content.scratch, gc: { schedule: parseSchedule(schedule), graceMs: hour } },
      }) as unknown as Config,
    clock,
    random: () => 0.5,
    logger: silentLogger,
    metrics: { collected: (outcome: string) => void runs.push(outcome) },
  })
  await armed()
}

const armed = () => waitFor('a timer', () => clock.nextInMs() !== undefined)

/** Runs what is due by then, with the pauses that a collection makes. */
async function go(ms: number, wanted: number): Promise<void> {
  await clock.advance(ms)
  await waitFor(`${wanted} collections`, async () => {
    if (runs.length < wanted) await clock.advance(1)
    return runs.length >= wanted
  })
}

it('collects soon after the first start, and then once a day', async () => {
  await go(hour, 1)
  await armed()
  await clock.advance(20 * hour)
  expect(begun).toBe(1)
  await go(7 * hour, 2)
  expect(runs).toEqual(['done', 'done'])
})

it('goes on with its rhythm after a restart, and makes up for what was missed', async () => {
  await go(hour, 1)
  await maintenance.close()
  await start()
  await clock.advance(20 * hour)
  expect(begun).toBe(1)
  await maintenance.close()
  await clock.advance(100 * hour)
  await start()
  await clock.advance(hour / 10)
  expect(begun).toBe(1)
  await go(hour, 2)
})

it('tries again after a failure', async () => {
  const list = opened.content.list.bind(opened.content)
  opened.content.list = () => {
    throw new Error('EIO')
  }
  await go(hour, 1)
  await armed()
  opened.content.list = list
  await go(2 * hour, 2)
  expect(runs).toEqual(['failed', 'done'])
})

it.each(['at the start', 'after a collection'])(
  'is scheduled though the state could not say when, %s',
  async (when) => {
    const { facts } = opened.state
    const get = facts.get.bind(facts)
    const isAway = () => (facts.get = () => Promise.reject(new Error('the database is away')))
    const atStart = when === 'at the start'
    if (atStart) {
      await maintenance.close()
      isAway()
      await start()
    } else {
      isAway()
      await go(hour, 1)
      await armed()
    }
    await clock.advance(hour / 2)
    facts.get = get
    await go((atStart ? 2 : 30) * hour, atStart ? 1 : 2)
  },
)

it('never collects by itself with off, but when asked', async () => {
  await maintenance.close()
  schedule = 'off'
  maintenance = createMaintenance({
    ...opened,
    config: () =>
      ({ bundles: [], content: { gc: { schedule: parseSchedule('off'), graceMs: hour } } }) as unknown as Config,
    clock,
    random: () => 0.5,
    logger: silentLogger,
    metrics: { collected: (outcome: string) => void runs.push(outcome) },
  })
  await opened.content.ingest(from('x'))
  await clock.advance(1000 * hour)
  expect(begun).toBe(0)
  const collecting = maintenance.collect({ dryRun: true })
  let isDone = false
  void collecting.then(() => (isDone = true))
  await waitFor('the collection', async () => {
    await clock.advance(5)
    return isDone
  })
  expect(await collecting).toMatchObject({ dryRun: true, files: 1 })
  expect(runs).toEqual([])
})

it('verifies, tells how far it is, and is broken off by its signal', async () => {
  await opened.content.ingest(from('x'))
  const right = opened.content.verify.bind(opened.content)
  const seen: unknown[] = []
  opened.content.verify = async (digest) => {
    seen.push(maintenance.verifying())
    return right(digest)
  }
  expect(maintenance.verifying()).toBeNull()
  expect(await maintenance.verify({})).toMatchObject({ blobs: 1, bytes: 1, found: 0 })
  expect(seen).toEqual([{ blobs: 0, bytes: 0 }])
  expect(maintenance.verifying()).toBeNull()
  const gone = new AbortController()
  opened.content.verify = async (digest) => {
    gone.abort(new Error('nobody waits'))
    return right(digest)
  }
  await opened.content.ingest(from('y'))
  await expect(maintenance.verify({ signal: gone.signal })).rejects.toThrow('nobody waits')
  expect(maintenance.verifying()).toBeNull()
})

it('removes nothing while it backs up: what the copied state names would be gone', async () => {
  const events: string[] = []
  const copied = Promise.withResolvers<void>()
  opened.state.snapshot = async () => {
    events.push('backing up')
    await copied.promise
    events.push('backed up')
    throw new Error('enough')
  }
  const list = opened.content.list.bind(opened.content)
  opened.content.list = () => {
    events.push('collecting')
    return list()
  }
  const backingUp = maintenance.backUp({ to: join(tempDir('backup'), 'new') }).catch(() => undefined)
  let isCollected = false
  const collecting = maintenance.collect({ dryRun: false }).then(() => (isCollected = true))
  const goOn = () => clock.advance(1000)
  await waitFor('the backup', () => events.length > 0)
  for (let times = 0; times < 50; times++) await goOn()
  expect(events).toEqual(['backing up'])
  copied.resolve()
  await waitFor('the collection', async () => {
    await goOn()
    return isCollected
  })
  await Promise.all([backingUp, collecting])
  expect(events).toEqual(['backing up', 'backed up', 'collecting'])
})

it('runs one at a time, and ends what is under way when it is closed', async () => {
  const [first, second] = [maintenance.collect({ dryRun: false }), maintenance.collect({ dryRun: false })]
  const both = Promise.allSettled([first, second])
  await maintenance.close()
  for (const { status } of await both) expect(status).toBe('rejected')
})
