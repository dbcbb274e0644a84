import { expect, it } from 'vitest'
import { runCollectionModel } from '../../model/collection.ts'

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
    ])
      expect(counts[what], what).toBeGreaterThan(0)
    expect(counts['collected files']).toBeGreaterThan(10)
  },
  60_000,
)
