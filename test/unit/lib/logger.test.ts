import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { StorageError } from '../../../src/lib/errors.ts'
import { createLogger } from '../../../src/lib/logger.ts'
import { Redactor } from '../../../src/lib/redact.ts'

function logged(error: unknown): unknown {
  const stream = new PassThrough()
  createLogger({ level: 'info', pretty: false, redactor: new Redactor(), stream }).error({ err: error }, 'it failed')
  return (JSON.parse(String(stream.read())) as { err: unknown }).err
}

describe('an error in the log', () => {
  it('that was foreseen comes in its words, without the places of the code', () => {
    const cause = new Error('ENOSPC: no space left on device, write')
    const error = new StorageError('disk_full', 'writing blob x failed at /data: the disk is full', {
      cause,
      hint: 'Free space.',
    })
    expect(logged(error)).toEqual({
      ...{ type: 'StorageError', code: 'disk_full', message: error.message, hint: 'Free space.' },
      cause: 'ENOSPC: no space left on device, write',
    })
    expect(logged(new StorageError('io', 'no'))).toEqual({ type: 'StorageError', code: 'io', message: 'no' })
  })

  it('that nobody foresaw comes with all there is', () => {
    const stack = expect.stringMatching(/logger\.test\.ts/) as string
    expect(logged(new TypeError('x is undefined'))).toMatchObject({
      type: 'TypeError',
      message: 'x is undefined',
      stack,
    })
  })

  it('may be no error at all', () => {
    expect(logged('a text')).toBe('a text')
    expect(logged(undefined)).toBeUndefined()
  })
})
