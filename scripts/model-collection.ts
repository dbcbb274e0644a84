// node scripts/model-collection.ts [STEPS] [SEED]: random pushes, fetches, releases, collections and restarts at once; 10,000
// steps unless said, each thousand with a seed of its own. Says seed and step where something is lost, or left over.
import { runCollectionModel } from '../test/model/collection.ts'

const stepsEach = 1_000
const [steps = 10_000, first = Date.now() % 1_000_000] = process.argv.slice(2).map(Number)

for (let done = 0; done < steps; done += stepsEach) {
  const seed = first + done / stepsEach
  const counts = await runCollectionModel(seed, Math.min(stepsEach, steps - done))
  console.log(`seed ${seed}: ${JSON.stringify(counts)}`)
}
