// node scripts/model-deployments.ts [HISTORIES] [SEED]: random pushes, pins, switches, holds, failures, restarts and crashes of one
// bundle at two places; 2,000 histories unless said. Its state is small and written often: put TMPDIR into memory. Says the seed and the shortest history of what fails.
import fc from 'fast-check'
import { history, live } from '../test/model/deployments.ts'
import { removeTempDirs } from '../test/support/temp.ts'

const [histories = 2_000, seed = Date.now() % 1_000_000] = process.argv.slice(2).map(Number)
const each = 250

for (let done = 0; done < histories; done += each) {
  const numRuns = Math.min(each, histories - done)
  await fc.assert(
    fc.asyncProperty(history, async (steps) => void (await live(steps))),
    { numRuns, seed: seed + done },
  )
  // A folder for each would fill the disk.
  removeTempDirs()
  console.log(`seed ${seed + done}: ${numRuns} histories`)
}
