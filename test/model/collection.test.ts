import { expect, it } from 'vitest'
import { runCollectionModel } from './collection.ts'

it('what somebody may need stays, and only that, whatever happens at once', async () => {
  const counts: Record<string, number> = {}
  for (const seed of [1, 2]) {
    for (const [what, count] of Object.entries(await runCollectionModel(seed, 500))) {
      counts[what] = (counts[what] ?? 0) + count
    }
  }
  // What happens at once comes in another order each time, so one run alone may do without one of these.
  const all = ['push', 'slow push', 'mount', 'delete', 'release', 'deploy', 'restart', 'collection', 'dry run']
  for (const what of [...all, 'collected files', 'untagged', 'came back', 'come back'])
    expect(counts[what], what).toBeGreaterThan(0)
})
