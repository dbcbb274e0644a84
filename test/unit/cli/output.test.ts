import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { describeProgress, Output } from '../../../src/cli/output.ts'

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
