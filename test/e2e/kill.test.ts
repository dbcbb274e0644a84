// kill -9 at random moments: it stands up again, with all that it had acknowledged, and nothing by halves. More rounds:
// node scripts/kill.ts
import { expect, test } from 'vitest'
import { needs } from '../support/components.ts'
import { runKills } from '../support/kill.ts'

needs('distribution', 'olareg')('kill -9, fifty times', () => {
  const seed = Number(process.env.LONGSHORE_KILL_SEED ?? Math.floor(Math.random() * 2 ** 31))

  test(`while it pushes, fetches, deploys, reloads, deletes and starts; LONGSHORE_KILL_SEED=${seed}`, async () => {
    const lines: string[] = []
    const report = await runKills({ rounds: 50, seed, say: (line) => lines.push(line) }).catch((error: unknown) => {
      throw new Error([...lines, (error as Error).message].join('\n'), { cause: error })
    })
    expect(lines).toHaveLength(50)
    for (const [kind, count] of Object.entries(report.byKind)) expect(count, kind).toBeGreaterThanOrEqual(5)
    // Else it was killed only where there was nothing to lose.
    expect(report.leftovers).toBeGreaterThan(5)
    expect(report.acknowledged).toBeGreaterThan(100)
    process.stdout.write(`kill -9 with seed ${seed}:\n${lines.join('\n')}\n`)
  }, 600_000)
})
