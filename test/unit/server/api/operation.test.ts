import { expect, it } from 'vitest'
import {
  ConfigError,
  IntegrityError,
  RemoteError,
  StorageError,
  type LongshoreError,
} from '../../../../src/lib/errors.ts'
import { refusalFor } from '../../../../src/server/api/operation.ts'

it.each<[LongshoreError, number]>([
  [new ConfigError('no such folder'), 422],
  [new IntegrityError('digest_mismatch', 'other bytes'), 422],
  [new RemoteError('timeout', 'too slow', { host: 'h' }), 504],
  [new RemoteError('unavailable', 'down', { host: 'h' }), 502],
  [new StorageError('unreachable', 'no database'), 503],
  [new StorageError('disk_full', 'no space'), 507],
  [new StorageError('quota_exceeded', 'no more'), 507],
  [new StorageError('io', 'the disk reported an error'), 500],
])('%s is answered with %i', (error, status) => {
  expect(refusalFor(error)).toMatchObject({ status, code: error.code, message: error.message })
})
