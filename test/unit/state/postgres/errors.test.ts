import { describe, expect, it } from 'vitest'
import { StorageError } from '../../../../src/lib/errors.ts'
import { isLost, postgresError } from '../../../../src/state/postgres/errors.ts'

const of = (code: string, message = 'no') => Object.assign(new Error(message), { code })

describe('what Postgres says', () => {
  it.each([
    ['53100', 'disk_full', false],
    ['25006', 'read_only', false],
    ['28P01', 'not_allowed', false],
    ['42501', 'not_allowed', false],
    ['3D000', 'no_database', false],
    ['XX001', 'corrupt', false],
    ['58030', 'io', false],
    ['57014', 'unreachable', false],
    ['55P03', 'unreachable', false],
    ['40001', 'unreachable', false],
    ['57P01', 'unreachable', true],
    ['57P03', 'unreachable', true],
    ['08006', 'unreachable', true],
    ['53300', 'unreachable', true],
    ['ECONNREFUSED', 'unreachable', true],
    ['ENOTFOUND', 'unreachable', true],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'not_allowed', false],
  ])('%s is %s; the same may go well once it is back: %s', (from, code, lost) => {
    const error = postgresError(of(from), 'the operation x', 'the database d at h:1') as StorageError
    expect(error).toBeInstanceOf(StorageError)
    expect(error.code).toBe(code)
    expect(error.message).toMatch(/^the operation x failed in the database d at h:1: \w/)
    expect(error.hint).toBeTruthy()
    expect(isLost(of(from))).toBe(lost)
  })

  it.each(['Connection terminated unexpectedly', 'Query read timeout', 'timeout exceeded when trying to connect'])(
    'the driver’s “%s” is a lost connection',
    (message) => {
      expect(isLost(new Error(message))).toBe(true)
      expect(postgresError(new Error(message), 'x', 'y')).toMatchObject({ code: 'unreachable' })
    },
  )

  it('a server without TLS says so', () => {
    const error = postgresError(new Error('The server does not support SSL connections'), 'x', 'y')
    expect(error).toMatchObject({ code: 'not_allowed', message: 'x failed in y: it speaks no TLS' })
  })

  it('a defect stays one', () => {
    const defect = of('23503', 'violates foreign key constraint')
    expect(postgresError(defect, 'x', 'y')).toBe(defect)
  })
})
