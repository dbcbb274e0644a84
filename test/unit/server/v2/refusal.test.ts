import { describe, expect, it } from 'vitest'
import { IntegrityError, RemoteError, StorageError } from '../../../../src/lib/errors.ts'
import { refusalFor, refusalForFault } from '../../../../src/server/v2/refusal.ts'

const host = 'built-in registry'

describe('an error from below', () => {
  it.each([
    [new IntegrityError('digest_mismatch', 'x'), 400, 'DIGEST_INVALID'],
    [new IntegrityError('size_mismatch', 'x'), 413, 'SIZE_INVALID'],
    [new IntegrityError('bad_manifest', 'x'), 400, 'MANIFEST_INVALID'],
    [new IntegrityError('unsupported_artifact', 'x'), 400, 'MANIFEST_INVALID'],
    [new RemoteError('busy', 'x', { host }), 429, 'TOOMANYREQUESTS'],
    [new RemoteError('conflict', 'x', { host }), 409, 'BLOB_UPLOAD_INVALID'],
    [new RemoteError('not_found', 'x', { host }), 404, 'MANIFEST_UNKNOWN'],
  ])('%s that a client can mend is told', (error, status, code) => {
    expect(refusalFor(error)).toMatchObject({ status, entries: [{ code, message: 'x' }] })
  })

  it('a quota that is used up is denied, since trying again does not help', () => {
    const refused = refusalFor(new StorageError('quota_exceeded', 'x'))
    expect(refused).toMatchObject({
      status: 403,
      entries: [{ code: 'DENIED', message: 'x', detail: { reason: 'quota_exceeded' } }],
    })
  })

  it('too many requests say when to come again', () => {
    const headersOf = (retryAfterMs?: number) =>
      refusalFor(new RemoteError('busy', 'x', { host, ...(retryAfterMs !== undefined && { retryAfterMs }) }))?.headers
    expect(headersOf()).toEqual({ 'Retry-After': '1' })
    expect(headersOf(2_500)).toEqual({ 'Retry-After': '3' })
    expect(headersOf(0)).toEqual({ 'Retry-After': '1' })
  })

  it.each([
    [new StorageError('disk_full', '/secret/path'), 507, /no space left/, undefined],
    [new StorageError('read_only', '/secret/path'), 503, /cannot write/, undefined],
    [new StorageError('corrupt', '/secret/path'), 500, /damaged or gone: push it again/, undefined],
    [new StorageError('unreachable', '/secret/path'), 503, /cannot reach its database/, '5'],
    [new StorageError('io', '/secret/path'), 500, /its log says why/, undefined],
    [new RemoteError('unavailable', '/secret/path', { host }), 500, /its log says why/, undefined],
    [new Error('/secret/path'), 500, /its log says why/, undefined],
  ])('%s that is our fault is told by its kind, not in detail', (error, status, message, retryAfter) => {
    expect(refusalFor(error)).toBeUndefined()
    const answer = refusalForFault(error)
    expect(answer.status).toBe(status)
    expect(answer.message).toMatch(message)
    expect(answer.headers['Retry-After']).toBe(retryAfter)
    expect(JSON.stringify(answer.entries)).not.toContain('secret')
  })
})
