import { describe, expect, it } from 'vitest'
import { describeChange } from '../../../src/cli/tags.ts'
import { compareTags, readTags, watchTags, type TagChange } from '../../../src/cli/watch-tags.ts'
import { RemoteError } from '../../../src/lib/errors.ts'
import { digestOf, type Digest } from '../../../src/oci/digest.ts'
import type { Source } from '../../../src/oci/target.ts'
import { FakeClock } from '../../support/clock.ts'

const [a, b] = [digestOf('a'), digestOf('b')]

/** A repository whose tags the test moves; `broken` makes every call fail. */
function repository(tags: Map<string, Digest>) {
  const state = { broken: false, heads: 0, vanished: new Set<string>() }
  const check = () => {
    if (state.broken) throw new RemoteError('unavailable', 'cannot list', { host: 'registry' })
  }
  const source = {
    name: 'registry/acme/policies',
    async *tags() {
      check()
      yield* [...tags.keys()].sort()
    },
    async head(tag: string) {
      check()
      state.heads += 1
      const digest = state.vanished.has(tag) ? undefined : tags.get(tag)
      return digest === undefined ? undefined : { mediaType: 'x/y', digest, size: 1 }
    },
  } as unknown as Source
  return { source, state }
}

describe('compareTags', () => {
  it('tells what came, moved and went, in order', () => {
    const before = new Map([['gone', a], ['moved', a], ['same', a]]) // prettier-ignore
    const after = new Map([['same', a], ['moved', b], ['added', b]]) // prettier-ignore
    expect(compareTags(before, after)).toEqual([
      { change: 'added', tag: 'added', digest: b },
      { change: 'removed', tag: 'gone', previous: a },
      { change: 'moved', tag: 'moved', digest: b, previous: a },
    ])
  })
})

describe('readTags', () => {
  it('leaves out a tag that goes between the list and its HEAD', async () => {
    const { source, state } = repository(new Map([['x', a], ['y', b]])) // prettier-ignore
    state.vanished.add('x')
    expect(await readTags(source, new AbortController().signal)).toEqual(new Map([['y', b]]))
  })
})

describe('watchTags', () => {
  function watched(tags: Map<string, Digest>) {
    const { source, state } = repository(tags)
    const clock = new FakeClock()
    const stop = new AbortController()
    const changes: TagChange[] = []
    const failures: unknown[] = []
    const started: number[] = []
    const done = watchTags(source, {
      intervalMs: 30_000,
      clock,
      signal: stop.signal,
      onStart: (map) => started.push(map.size),
      onChange: (change) => changes.push(change),
      onFailure: (error) => failures.push(error),
    })
    return { state, clock, stop, changes, failures, started, done }
  }

  it('says nothing of what was there, then each change once', async () => {
    const tags = new Map([['1.0.0', a]])
    const { clock, stop, changes, started, done } = watched(tags)
    await clock.advance(30_000)
    expect([started, changes]).toEqual([[1], []])
    tags.set('1.0.0', b)
    await clock.advance(30_000)
    await clock.advance(30_000)
    expect(changes).toEqual([{ change: 'moved', tag: '1.0.0', digest: b, previous: a }])
    stop.abort()
    await done
  })

  it('takes a failed look for a failed look, not for an empty repository', async () => {
    const { state, clock, stop, changes, failures, done } = watched(new Map([['1.0.0', a]]))
    await clock.advance(0)
    state.broken = true
    await clock.advance(30_000)
    state.broken = false
    await clock.advance(30_000)
    expect(failures).toHaveLength(1)
    expect(changes).toEqual([])
    stop.abort()
    await done
  })

  it('fails when the first look does', async () => {
    const { source, state } = repository(new Map())
    state.broken = true
    const options = { intervalMs: 1, clock: new FakeClock(), signal: new AbortController().signal }
    const silent = { onStart: () => undefined, onChange: () => undefined, onFailure: () => undefined }
    await expect(watchTags(source, { ...options, ...silent })).rejects.toThrow('cannot list')
  })
})

describe('describeChange', () => {
  it('is one line with tag, digest and what happened', () => {
    expect(describeChange({ change: 'added', tag: 'v1', digest: a })).toBe(`v1  ${a}  added`)
    expect(describeChange({ change: 'moved', tag: 'v1', digest: b, previous: a })).toBe(`v1  ${b}  moved from ${a}`)
    expect(describeChange({ change: 'removed', tag: 'v1', previous: a })).toBe(`v1  ${a}  removed`)
  })
})
