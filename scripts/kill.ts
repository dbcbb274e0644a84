// Kills a server 500 times, as test/e2e/kill.test.ts does 50 times: node scripts/kill.ts [ROUNDS] [SEED] [--state postgres]. The
// components olareg and distribution have to be there, and postgresql for a state in it.
import { parseArgs } from 'node:util'
import { runKills } from '../test/support/kill.ts'
import { removeTempDirs } from '../test/support/temp.ts'

/** What one folder gathers; more only makes each look at it longer. */
const roundsInOneFolder = 50

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { state: { type: 'string', default: 'sqlite' } },
})
const { state } = values
if (state !== 'sqlite' && state !== 'postgres') throw new Error(`--state is sqlite or postgres, not ${state}`)
const [rounds = 500, seed = Math.floor(Math.random() * 2 ** 31)] = positionals.map(Number)
console.log(`${rounds} rounds, seed ${seed}, the state in ${state}`)
const startedAt = performance.now()
const totals: Record<string, number> = {}
let acknowledged = 0
try {
  for (let done = 0; done < rounds; done += roundsInOneFolder) {
    const report = await runKills({
      rounds: Math.min(roundsInOneFolder, rounds - done),
      seed: seed + done,
      state,
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
