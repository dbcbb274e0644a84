import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RemoteError, StorageError } from '../../../src/lib/errors.ts'
import { silentLogger, type Logger } from '../../../src/lib/logger.ts'
import { createMetrics, type Metrics } from '../../../src/lib/metrics.ts'
import type { Event } from '../../../src/model/event.ts'
import type { MessageFilter } from '../../../src/model/message.ts'
import type { Publisher, Telling } from '../../../src/publishers/publisher.ts'
import { maxWaitingMessages } from '../../../src/reconcile/intake.ts'
import { createOutbox, type Outbox } from '../../../src/reconcile/outbox.ts'
import type { PublisherSpec } from '../../../src/reconcile/sender.ts'
import { feedOf } from '../../../src/state/feed.ts'
import type { State } from '../../../src/state/state.ts'
import { FakeClock } from '../../support/clock.ts'
import { createRandom } from '../../support/random.ts'
import { tempDir } from '../../support/temp.ts'
import { waitFor } from '../../support/wait.ts'
import { openInProcess } from '../state/open.ts'

const [second, hour, day] = [1000, 3_600_000, 86_400_000]
const down = new RemoteError('unavailable', 'it answered 503', { host: 'x', retryable: true })
const refused = new RemoteError('denied', 'it answered 400', { host: 'x', status: 400 })
const any: MessageFilter = { publisher: null, bundle: null, state: null }

/** A receiver that notes what it is told, and fails as it is told to. */
class Receiver implements Publisher {
  readonly name = 'receiver'
  told: Telling[] = []
  tries: string[] = []
  failing: (event: Event) => unknown = () => undefined
  hanging: Promise<void> | undefined

  async publish(telling: Telling, signal: AbortSignal): Promise<void> {
    this.tries.push(telling.id)
    if (this.hanging !== undefined) {
      await Promise.race([this.hanging, new Promise((resolve) => signal.addEventListener('abort', resolve))])
      signal.throwIfAborted()
    }
    const error = this.failing(telling.event)
    if (error !== undefined) throw error as Error
    this.told.push(telling)
  }

  get seqs(): number[] {
    return this.told.map(({ event }) => event.seq)
  }
}

let clock: FakeClock
let folder: string
let state: Awaited<ReturnType<typeof openInProcess>>
let feed: ReturnType<typeof feedOf<typeof state>>
let outbox: Outbox
let metrics: Metrics
/** While set, events are read only when it resolves. */
let reading: Promise<void> | undefined

beforeEach(async () => {
  clock = new FakeClock()
  folder = tempDir('outbox')
  await open()
})

afterEach(close)

async function open(lease: Partial<State['lease']> = {}, logger: Logger = silentLogger) {
  const opened = await openInProcess(folder)
  state = { ...opened, lease: { ...opened.lease, ...lease } }
  feed = feedOf(state)
  metrics = createMetrics(clock)
  reading = undefined
  const after = async (seq: number, limit: number) => {
    await reading
    return feed.feed.after(seq, limit)
  }
  outbox = createOutbox({
    ...{ state: feed.state, feed: { ...feed.feed, after }, clock, random: () => 1, logger, metrics },
    ...{ source: 'urn:uuid:here', redact: (text) => text.replace('hunter2', '***') },
  })
}

async function close() {
  await outbox.close()
  await state.close()
}

function specOf(name: string, publisher: Publisher, more: Partial<PublisherSpec> = {}): PublisherSpec {
  return { name, publisher, wants: () => true, parkAfterMs: day, ...more }
}

/** Something happens to each of these bundles, in this order. */
async function happen(...bundles: string[]) {
  for (const bundle of bundles) {
    const to = { tag: 'v1' }
    await feed.state.decisions.pin({ bundle, to, by: 'ann', at: clock.now(), reason: 'because of hunter2' })
  }
}

const held = async (filter: Partial<MessageFilter> = {}) =>
  (await outbox.list({ ...any, ...filter }, { after: null, limit: 1000 })).map(({ publisher, event }) => [
    publisher,
    event.seq,
  ])

const until = (what: () => boolean) => waitFor('the outbox', what)

describe('where another instance acts by now', () => {
  it('nobody is told anything', async () => {
    await close()
    folder = tempDir('outbox')
    let asked = 0
    const check = () => {
      asked++
      return Promise.reject(new StorageError('locked', 'another one acts'))
    }
    await open({ check })
    const receiver = new Receiver()
    await outbox.configure([specOf('events', receiver)])
    await happen('a')
    await until(() => asked > 0)
    await clock.advance(60_000)
    expect(await outbox.list(any, { after: null, limit: 9 })).toMatchObject([{ state: 'waiting', attempts: 0 }])
    expect(receiver.tries).toEqual([])
  })
})

describe('what the log says of a receiver', () => {
  it('names the publisher and where it is, with a code and no stack, once', async () => {
    const lines: unknown[][] = []
    const warn = (...line: unknown[]) => void lines.push(line)
    const info = (line: unknown) => void lines.push([line])
    const logger = { ...silentLogger, warn, info, child: () => logger } as unknown as Logger
    await close()
    await open({}, logger)
    const receiver = new Receiver()
    receiver.failing = () => down
    await outbox.configure([specOf('events', receiver)])
    await happen('a')
    await until(() => receiver.tries.length === 1 && clock.nextInMs() !== undefined)
    receiver.failing = () => undefined
    await clock.advance(second)
    await until(() => receiver.told.length === 1)
    expect(lines).toEqual([
      [
        { seq: 1, bundle: 'a', type: 'bundle.pinned', code: 'unavailable' },
        'events (receiver) could not be told: it answered 503',
      ],
      ['events (receiver) can be told again'],
    ])
  })
})

describe('what happens', () => {
  it('is told in order for each bundle, each with its number, an id that stays, and without secrets', async () => {
    const receiver = new Receiver()
    await outbox.configure([specOf('events', receiver)])
    await happen('a', 'b', 'a', 'a')
    await until(() => receiver.told.length === 4)
    const of = (bundle: string) => receiver.told.filter(({ event }) => event.bundle === bundle)
    expect(of('a').map(({ event }) => event.seq)).toEqual([1, 3, 4])
    expect(of('b').map(({ event }) => event.seq)).toEqual([2])
    expect(receiver.told.find(({ event }) => event.seq === 1)).toEqual({
      id: `1-${clock.now()}`,
      source: 'urn:uuid:here',
      event: {
        ...{ seq: 1, at: clock.now(), type: 'bundle.pinned', bundle: 'a', place: null, by: 'ann' },
        data: { pin: { tag: 'v1' }, reason: 'because of ***' },
      },
    })
    await waitFor('nothing to be left', async () => (await held()).length === 0)
    expect(await metrics.text()).toContain('longshore_messages_total{publisher="events",outcome="sent"} 4')
  })

  it('is told to those who want it', async () => {
    const [all, some] = [new Receiver(), new Receiver()]
    await outbox.configure([specOf('all', all), specOf('some', some, { wants: ({ bundle }) => bundle === 'b' })])
    await happen('a', 'b', 'c')
    await until(() => all.told.length === 3 && some.told.length === 1)
    expect(some.seqs).toEqual([2])
  })

  it('is told from when a publisher is there, and no longer once it is gone', async () => {
    const [early, late] = [new Receiver(), new Receiver()]
    await outbox.configure([specOf('early', early)])
    await happen('a')
    await until(() => early.told.length === 1)
    early.failing = () => down
    await happen('a')
    await until(() => early.tries.length === 2)
    await outbox.configure([specOf('late', late)])
    expect(await held()).toEqual([])
    await happen('a')
    await until(() => late.told.length === 1)
    expect(late.seqs).toEqual([3])
    early.failing = () => undefined
    // Back again, it begins anew.
    await outbox.configure([specOf('late', late), specOf('early', early)])
    await happen('a')
    await until(() => early.told.length === 2)
    expect(early.seqs).toEqual([1, 4])
    expect(await metrics.text()).toContain('longshore_messages{publisher="early",state="waiting"}')
  })

  it('is told also where another message is sent while it is taken up', async () => {
    const receiver = new Receiver()
    const [sent, read] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    receiver.hanging = sent.promise
    await outbox.configure([specOf('events', receiver)])
    await happen('a')
    await until(() => receiver.tries.length === 1)
    reading = read.promise
    await happen('b')
    sent.resolve()
    await waitFor('the first to be sent', async () => (await held()).length === 0)
    read.resolve()
    await until(() => receiver.told.length === 2)
  })

  it('survives a stop in the middle, and what happened meanwhile is told too', async () => {
    const receiver = new Receiver()
    receiver.hanging = new Promise(() => undefined)
    await outbox.configure([specOf('events', receiver)])
    await happen('a', 'a')
    await until(() => receiver.tries.length === 1)
    await close()
    await open()
    await happen('a', 'b')
    receiver.hanging = undefined
    await outbox.configure([specOf('events', receiver)])
    await until(() => receiver.told.length === 4)
    expect(receiver.seqs.toSorted()).toEqual([1, 2, 3, 4])
    expect(receiver.seqs.filter((seq) => seq !== 4)).toEqual([1, 2, 3])
    // The first once more, as the same.
    expect(receiver.tries.filter((id) => id.startsWith('1-'))).toHaveLength(2)
    expect(new Set(receiver.tries).size).toBe(4)
  })
})

describe('a receiver that does not answer', () => {
  it('is tried again later and later, in order, and delays nobody else', async () => {
    const [dead, live] = [new Receiver(), new Receiver()]
    dead.failing = () => down
    await outbox.configure([specOf('dead', dead), specOf('live', live)])
    await happen('a', 'b', 'a')
    await until(() => live.told.length === 3 && dead.tries.length >= 1)
    const first = dead.tries.length
    // Those that were under way already; none begins before its time.
    expect(first).toBeLessThanOrEqual(2)
    await clock.advance(10 * hour)
    // At most every five minutes.
    await until(() => dead.tries.length > first + 50)
    expect(dead.tries.length).toBeLessThan(first + 150)
    await happen('b')
    await until(() => live.told.length === 4)
    dead.failing = () => undefined
    await clock.advance(300 * second)
    await until(() => dead.told.length === 4)
    const of = (bundle: string) =>
      dead.told.filter(({ event }) => event.bundle === bundle).map(({ event }) => event.seq)
    expect([of('a'), of('b')]).toEqual([
      [1, 3],
      [2, 4],
    ])
  })

  it('is left alone for as long as it asks', async () => {
    const receiver = new Receiver()
    const wait = { host: 'x', retryable: true, retryAfterMs: 30 * second }
    receiver.failing = () => new RemoteError('rate_limited', 'it answered 429', wait)
    await outbox.configure([specOf('events', receiver)])
    await happen('a')
    await until(() => clock.nextInMs() === 30 * second)
    await happen('b')
    await clock.advance(29 * second)
    expect(receiver.tries).toHaveLength(1)
    receiver.failing = () => undefined
    await clock.advance(second)
    await until(() => receiver.told.length === 2)
  })

  it('for too long: what waits is parked, can be seen, and is sent again when a person says so', async () => {
    const receiver = new Receiver()
    receiver.failing = () => down
    await outbox.configure([specOf('events', receiver, { parkAfterMs: hour })])
    await happen('a', 'b', 'a')
    await clock.advance(hour + 300 * second)
    await waitFor('all to be parked', async () => (await held({ state: 'parked' })).length === 3)
    const [parked] = await outbox.list(any, { after: null, limit: 1 })
    expect(parked).toMatchObject({ state: 'parked', nextAttemptAt: null, lastError: 'it answered 503' })
    expect(await metrics.text()).toContain('longshore_messages{publisher="events",state="parked"} 3')
    const tries = receiver.tries.length
    await clock.advance(day)
    expect(receiver.tries).toHaveLength(tries)

    receiver.failing = () => undefined
    await happen('a')
    await until(() => receiver.told.length === 1)
    expect(receiver.seqs).toEqual([4])
    expect(
      await outbox.resend([
        { publisher: 'events', seq: 2 },
        { publisher: 'events', seq: 99 },
      ]),
    ).toEqual([{ publisher: 'events', seq: 2 }])
    await until(() => receiver.told.length === 2)
    await outbox.resend([1, 3].map((seq) => ({ publisher: 'events', seq })))
    await until(() => receiver.told.length === 4)
    expect(receiver.seqs).toEqual([4, 2, 1, 3])
    await waitFor('nothing to be left', async () => (await held()).length === 0)
  })

  it('is given some time after a long stop, however old that is what it is to be told', async () => {
    const receiver = new Receiver()
    receiver.failing = () => down
    await outbox.configure([specOf('events', receiver)])
    await happen('a', 'b')
    await until(() => receiver.tries.length > 0)
    await close()
    clock.jump(2 * day)
    await open()
    receiver.tries = []
    await outbox.configure([specOf('events', receiver)])
    await until(() => receiver.tries.length > 0)
    await clock.advance(60 * second)
    expect(await held({ state: 'parked' })).toEqual([])
    receiver.failing = () => undefined
    await clock.advance(300 * second)
    await until(() => receiver.told.length === 2)
  })

  it('keeps so many waiting, and takes the others from the log when there is room', async () => {
    const receiver = new Receiver()
    receiver.failing = () => down
    await outbox.configure([specOf('events', receiver)])
    // As if it had been away for long.
    const { raw } = state.store
    raw.exec(`with recursive n (i) as (select 1 union all select i + 1 from n where i < ${maxWaitingMessages + 500})
      insert into events ("at", "type", "bundle", "data") select 1, 'bundle.pinned', 'b' || (i % 7), '{}' from n`)
    await happen('a')
    await waitFor('as many as may wait', async () => {
      const [count] = await state.outbox.counts()
      return count !== undefined && count.count >= maxWaitingMessages
    })
    const [counted] = await state.outbox.counts()
    expect(counted!.count).toBeLessThan(maxWaitingMessages + 200)
    receiver.failing = () => undefined
    await clock.advance(300 * second)
    await waitFor('all of them', () => receiver.told.length === maxWaitingMessages + 501)
    expect(new Set(receiver.seqs).size).toBe(maxWaitingMessages + 501)
  })
})

it('what fails here is no fault of the receiver: nothing is counted, and it goes again', async () => {
  const receiver = new Receiver()
  receiver.failing = () => new StorageError('io', 'the state is away')
  await outbox.configure([specOf('events', receiver, { parkAfterMs: 1 })])
  await happen('a')
  await until(() => clock.nextInMs() === 30 * second)
  await clock.advance(29 * second)
  expect(receiver.tries).toHaveLength(1)
  expect(await outbox.list(any, { after: null, limit: 9 })).toMatchObject([{ state: 'waiting', attempts: 0 }])
  receiver.failing = () => undefined
  await clock.advance(second)
  await until(() => receiver.told.length === 1)
})

describe('a message that is refused', () => {
  it('keeps only its own bundle waiting, is parked in the end, and later ones pass', async () => {
    const receiver = new Receiver()
    receiver.failing = ({ seq }) => (seq === 1 ? refused : undefined)
    await outbox.configure([specOf('events', receiver, { parkAfterMs: hour })])
    await happen('a', 'a', 'b')
    await until(() => receiver.told.length === 1)
    expect(receiver.seqs).toEqual([3])
    await clock.advance(hour + 300 * second)
    await until(() => receiver.told.length === 2)
    expect(receiver.seqs).toEqual([3, 2])
    expect(await held()).toEqual([['events', 1]])
    expect((await outbox.list({ ...any, state: 'parked' }, { after: null, limit: 9 }))[0]!.attempts).toBeGreaterThan(5)
  })
})

it('lists by publisher, bundle and state, in pages', async () => {
  const [x, y] = [new Receiver(), new Receiver()]
  for (const receiver of [x, y]) receiver.failing = () => refused
  await outbox.configure([specOf('x', x), specOf('y', y)])
  await happen('a', 'b', 'a')
  await waitFor('six', async () => (await held()).length === 6)
  expect(await held({ publisher: 'y' })).toEqual([1, 2, 3].map((seq) => ['y', seq]))
  expect(await held({ bundle: 'b' })).toEqual([
    ['x', 2],
    ['y', 2],
  ])
  expect(await held({ state: 'parked' })).toEqual([])
  const page = await outbox.list(any, { after: { publisher: 'x', seq: 3 }, limit: 2 })
  expect(page.map(({ publisher, event }) => [publisher, event.seq])).toEqual([
    ['y', 1],
    ['y', 2],
  ])
})

describe('whatever a receiver does', () => {
  it.each([1, 2, 3, 4, 5, 6])('everything comes, in order for each bundle, and nothing is stuck: %i', async (seed) => {
    const random = createRandom(seed)
    const receiver = new Receiver()
    const errors = [undefined, undefined, down, refused, new StorageError('io', 'the state is away')]
    let isIll = true
    receiver.failing = () => (isIll ? errors[Math.floor(random() * errors.length)] : undefined)
    const publisher: Publisher = {
      name: 'receiver',
      async publish(telling, signal) {
        for (let turn = 0; turn < random() * 4; turn++) await new Promise((resolve) => setImmediate(resolve))
        await receiver.publish(telling, signal)
      },
    }
    await outbox.configure([specOf('events', publisher)])
    for (let round = 0; round < 15; round++) {
      await happen(...Array.from({ length: 4 }, () => `b${Math.floor(random() * 6)}`))
      await clock.advance(Math.round(random() * 60 * second))
      if (round === 7) {
        await close()
        await open()
        await outbox.configure([specOf('events', publisher)])
      }
    }
    isIll = false
    await clock.advance(hour)
    await waitFor('nothing to be left', async () => (await held()).length === 0)
    const firsts = [...new Map(receiver.told.map(({ event }) => [event.seq, event])).values()]
    expect(firsts.map(({ seq }) => seq).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 60 }, (_, at) => at + 1),
    )
    for (const [, events] of Map.groupBy(firsts, ({ bundle }) => bundle)) {
      expect(events.map(({ seq }) => seq)).toEqual(events.map(({ seq }) => seq).toSorted((a, b) => a - b))
    }
    expect(await metrics.text()).toContain('longshore_messages{publisher="events",state="waiting"} 0')
  })
})
