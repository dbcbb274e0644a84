import { expect, it } from 'vitest'
import { runCollectionModel } from './collection.ts'

it.each([1, 2])(
  'what somebody may need stays, and only that, whatever happens at once (seed %s)',
  async (seed) => {
    const counts = await runCollectionModel(seed, 500)
    for (const what of [
      'push',
      'slow push',
      'mount',
      'delete',
      'release',
      'deploy',
      'restart',
      'collection',
      'dry run',
      'collected files',
    ])
      expect(counts[what], what).toBeGreaterThan(0)
  },
  60_000,
)
