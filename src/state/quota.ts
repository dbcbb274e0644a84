import { StorageError } from '../lib/errors.ts'
import { formatSize } from '../lib/units.ts'

/** `bytes`: what the repository would have; null where nobody knows yet how much more is to come. */
export function quotaExceeded(repository: string, maxBytes: number, bytes: number | null): StorageError {
  const [max, would] = [formatSize(maxBytes), bytes === null ? 'more' : formatSize(bytes)]
  return new StorageError('quota_exceeded', `repository ${repository} may have ${max}, and would have ${would}`, {
    hint: 'Delete what is not needed there and run `longshore gc`, or raise content.repository_quotas.',
  })
}
