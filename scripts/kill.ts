// Kills a server 500 times, as test/e2e/kill.test.ts does 50 times: node scripts/kill.ts [ROUNDS] [SEED]. The components
// olareg and distribution have to be there.
import { runKills } from '../test/support/kill.ts'
import { removeTempDirs } from '../test/support/temp.ts'

/** What one folder gathers; more only makes each look at it longer. */
const roundsInOneFolder = 50

const [rounds = 500, seed = Math.floor(Math.random() * 2 ** 31)] = process.argv.slice(2).map(Number)
console.log(`${rounds} rounds, seed ${seed}`)
const startedAt = performance.now()
const totals: Record<string, number> = {}
let acknowledged = 0
try {
  for (let done = 0; done < rounds; done += roundsInOneFolder) {
    const report = await runKills({
      rounds: Math.min(roundsInOneFolder, rounds - done),
      seed: seed + done,
      say: (line) => {
        console.log(line)
      },
    })
    acknowledged += report.acknowledged
    for (const [kind, count] of Object.entries(report.byKind)) totals[kind] = (totals[kind] ?? 0) + count
  }
  const each = Object.entries(totals).map(([kind, count]) => `${kind} ${count}`)
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  console.log(`${rounds} kills in ${seconds} s (${each.join(', ')}); ${acknowledged} acknowledged changes, none lost`)
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 1
} finally {
  removeTempDirs()
}
