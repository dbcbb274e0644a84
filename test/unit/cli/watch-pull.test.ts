import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { describePull, watchPull, type Pulled } from '../../../src/cli/watch-pull.ts'
import { RemoteError, type IntegrityError } from '../../../src/lib/errors.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import type { Descriptor } from '../../../src/oci/target.ts'
import { FakeClock } from '../../support/clock.ts'
import { blobOf, imageOf, indexOf, MemoryRepository } from '../../support/repository.ts'
import { tempDir } from '../../support/temp.ts'
import { waitFor } from '../../support/wait.ts'

const minute = 60_000

/** Pushes an artifact with titled layers under `stable`. */
async function push(into: MemoryRepository, files: Record<string, string>, tags = ['stable']) {
  const layers: Descriptor[] = []
  for (const [title, text] of Object.entries(files)) {
    const layer = blobOf(text, 'application/vnd.oci.image.layer.v1.tar')
    into.blobs.set(layer.digest, Buffer.from(text))
    layers.push({ ...layer, annotations: { 'org.opencontainers.image.title': title } })
  }
  return imageOf(into, [], { layers, tags })
}

function open(source = new MemoryRepository('registry.test/zones'), folder = join(tempDir('watch'), 'zones')) {
  const clock = new FakeClock()
  const stop = new AbortController()
  const seen = { changes: [] as Pulled[], failures: [] as [unknown, number][], same: [] as Digest[] }
  let isOver = false
  const start = () =>
    void watchPull(source, {
      ...{ reference: 'stable', folder, platform: 'linux/amd64', clock, random: () => 0.5, signal: stop.signal },
      schedule: { kind: 'interval', minMs: minute, maxMs: minute },
      onStart: () => undefined,
      onSame: (digest) => void seen.same.push(digest),
      onChange: (change) => void seen.changes.push(change),
      onFailure: (error, waitMs) => void seen.failures.push([error, waitMs]),
    }).then(() => (isOver = true))
  /** Time goes on only when it waits for it. */
  const until = (what: string, ask: () => boolean) => waitFor(what, ask)
  const asleep = (ms: number) => until(`a wait of ${ms} ms`, () => clock.nextInMs() === ms)
  return { source, folder, clock, stop, seen, start, until, asleep, over: () => isOver }
}

const read = (folder: string, name: string) => readFileSync(join(folder, name), 'utf8')

describe('watchPull', () => {
  it('pulls at the start, and after each interval what changed; older files go', async () => {
    const { source, folder, clock, seen, start, asleep } = open()
    await push(source, { 'db.a': '1', 'db.old': '1' })
    start()
    await asleep(minute)
    expect(seen.changes).toMatchObject([{ written: ['db.a', 'db.old'], removed: [] }])
    const { digest } = await push(source, { 'db.a': '2' })
    await clock.advance(minute)
    await asleep(minute)
    expect(seen.changes[1]).toEqual({ digest, written: ['db.a'], removed: ['db.old'] })
    expect(read(folder, 'db.a')).toBe('2')
    expect(existsSync(join(folder, 'db.old'))).toBe(false)
  })

  it('asks with one HEAD when nothing changed, also when it is started again', async () => {
    const first = open()
    await push(first.source, { 'db.a': '1' })
    first.start()
    await first.asleep(minute)
    first.source.log.length = 0
    await first.clock.advance(minute)
    await first.asleep(minute)
    expect(first.source.log).toEqual(['head stable'])
    const again = open(first.source, first.folder)
    again.start()
    await again.asleep(minute)
    expect(first.source.log).toEqual(['head stable', 'head stable'])
    expect(again.seen).toMatchObject({ changes: [], same: [expect.stringMatching(/^sha256:/)] })
  })

  it('takes the member of an index for its platform, and asks with one HEAD then too', async () => {
    const { source, folder, clock, start, asleep } = open()
    const [amd, arm] = [await push(source, { 'db.a': 'amd' }, []), await push(source, { 'db.a': 'arm' }, [])]
    const platforms = ['arm64', 'amd64'].map((architecture) => ({ os: 'linux', architecture }))
    await indexOf(source, [arm, amd], { tags: ['stable'], platforms })
    start()
    await asleep(minute)
    expect(read(folder, 'db.a')).toBe('amd')
    source.log.length = 0
    await clock.advance(minute)
    await asleep(minute)
    expect(source.log).toEqual(['head stable'])
  })

  it('puts right what somebody else changed', async () => {
    const { source, folder, clock, seen, start, asleep } = open()
    await push(source, { 'db.a': '1', 'db.b': '1b' })
    start()
    await asleep(minute)
    writeFileSync(join(folder, 'db.a'), 'spoilt')
    await clock.advance(minute)
    await asleep(minute)
    expect(seen.changes[1]).toMatchObject({ written: ['db.a'], removed: [] })
    expect(read(folder, 'db.a')).toBe('1')
  })

  it('tries three times, then at the next interval', async () => {
    const { source, clock, seen, start, asleep, until } = open()
    let heads = 0
    const head = source.head.bind(source)
    source.head = async (...args) => {
      heads += 1
      if (heads <= 4) throw new RemoteError('unavailable', 'not now', { host: 'registry.test' })
      return head(...args)
    }
    await push(source, { 'db.a': '1' })
    start()
    for (const pauseMs of [3_000, 4_000]) {
      await asleep(pauseMs)
      await clock.advance(pauseMs)
    }
    await asleep(minute)
    expect(heads).toBe(3)
    expect(seen.failures).toMatchObject([[{ code: 'unavailable' }, minute]])
    await clock.advance(minute)
    await asleep(3_000)
    await clock.advance(3_000)
    await until('the change', () => seen.changes.length === 1)
    expect(heads).toBe(5)
  })

  it('does not fetch again what was refused, and goes on when it moves', async () => {
    const { source, folder, clock, seen, start, asleep } = open()
    await push(source, { 'db.a': '1' })
    start()
    await asleep(minute)
    await push(source, { '../db.a': '2' })
    for (let look = 0; look < 2; look += 1) {
      source.log.length = 0
      await clock.advance(minute)
      await asleep(minute)
    }
    expect(source.log).toEqual(['head stable'])
    expect(seen.failures.map(([error]) => (error as IntegrityError).code)).toEqual(['unsafe_path', 'unsafe_path'])
    expect(read(folder, 'db.a')).toBe('1')
    await push(source, { 'db.a': '3' })
    await clock.advance(minute)
    await asleep(minute)
    expect(read(folder, 'db.a')).toBe('3')
  })

  it('ends when it is told to, in the middle of a pull too', async () => {
    const { source, stop, seen, start, until, over } = open()
    await push(source, { 'db.a': '1' })
    const blob = source.blob.bind(source)
    source.blob = async function* (descriptor, signal) {
      stop.abort(new Error('stopped by SIGTERM'))
      yield* blob(descriptor, signal)
    }
    start()
    await until('the end', over)
    expect(seen).toMatchObject({ changes: [], failures: [] })
  })
})

it('says a change in one line', () => {
  const digest = `sha256:${'a'.repeat(64)}` as const
  const say = (written: string[], removed: string[]) => describePull('zones:stable', { digest, written, removed })
  expect(say(['a'], [])).toBe(`zones:stable  ${digest}  1 file written`)
  expect(say(['a', 'b'], ['c'])).toBe(`zones:stable  ${digest}  2 files written, 1 removed`)
})
