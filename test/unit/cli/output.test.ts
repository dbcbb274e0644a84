import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { describeProgress, Output } from '../../../src/cli/output.ts'
import { collector } from './fake-context.ts'

function createOutput(json: boolean) {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const output = new Output({ stdout, stderr, json, color: false, terminal: false })
  return { output, stdout: () => String(stdout.read() ?? ''), stderr: () => String(stderr.read() ?? '') }
}

describe('Output', () => {
  it('prints lines for a person', () => {
    const { output, stdout } = createOutput(false)
    output.result({ a: 1 }, ['one', 'two'])
    expect(stdout()).toBe('one\ntwo\n')
  })

  it('prints one JSON document with --json, and messages elsewhere', () => {
    const { output, stdout, stderr } = createOutput(true)
    output.note('working')
    output.result({ a: 1 }, 'one')
    expect(JSON.parse(stdout())).toEqual({ a: 1 })
    expect(stderr()).toBe('working\n')
  })

  it('aligns columns', () => {
    const { output } = createOutput(false)
    expect(
      output.table([
        ['NAME', 'AGE'],
        ['authz', '1m'],
      ]),
    ).toEqual(['NAME   AGE', 'authz  1m'])
  })

  it('says bytes, rate and time left', () => {
    expect(describeProgress(1024 ** 2, 2 * 1024 ** 2, 1000)).toBe('1 MiB of 2 MiB, 1 MiB/s, 1s left')
  })
})

describe('progress', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
  afterEach(() => void vi.useRealTimers())

  function drawn(terminal: boolean, steps: readonly (readonly [afterMs: number, done: number])[]): string {
    const { stream, text } = collector()
    const output = new Output({ stdout: stream, stderr: stream, json: false, color: false, terminal })
    const progress = output.progress('pushing')
    for (const [afterMs, done] of steps) {
      vi.advanceTimersByTime(afterMs)
      progress.update(done, 4096)
    }
    progress.end()
    return text()
  }

  it('is drawn on a terminal once it takes longer than half a second, and wiped away', () => {
    const text = drawn(true, [[400, 1024], [400, 2048], [10, 2050], [400, 4096]]) // prettier-ignore
    expect(text.split('\r\u001b[K').filter(Boolean)).toEqual([
      'pushing  2 KiB of 4 KiB, 2.5 KiB/s, 800ms left',
      expect.stringMatching(/^pushing {2}4 KiB of 4 KiB/),
    ])
    expect(text.endsWith('\r\u001b[K')).toBe(true)
  })

  it('is never seen for what is quick, or elsewhere than on a terminal', () => {
    expect(drawn(true, [[100, 1024], [300, 4096]])).toBe('') // prettier-ignore
    expect(drawn(false, [[900, 1024]])).toBe('')
  })
})
