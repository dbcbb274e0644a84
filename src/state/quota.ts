import { StorageError } from '../lib/errors.ts'
import { formatSize } from '../lib/units.ts'

/** `bytes`: what the repository would have. */
export function quotaExceeded(repository: string, maxBytes: number, bytes: number): StorageError {
  const [max, would] = [formatSize(maxBytes), formatSize(bytes)]
  return new StorageError('quota_exceeded', `repository ${repository} may have ${max}, and would have ${would}`, {
    hint: 'Delete what is not needed there and run `longshore gc`, or raise content.repository_quotas.',
  })
}
