// As test/e2e/kill.test.ts, with the state in a real Postgres: what was sent to it may be done after who sent it is gone. More
// rounds: node scripts/kill.ts --state postgres
import { expect, test } from 'vitest'
import { needs } from '../support/components.ts'
import { runKills } from '../support/kill.ts'

needs(
  'distribution',
  'olareg',
  'postgresql',
)('kill -9 with the state in Postgres', () => {
  const seed = Number(process.env.LONGSHORE_KILL_SEED ?? Math.floor(Math.random() * 2 ** 31))

  test(`once in each kind of work; LONGSHORE_KILL_SEED=${seed}`, async () => {
    const lines: string[] = []
    const say = (line: string) => void lines.push(line)
    const report = await runKills({ rounds: 10, seed, say, state: 'postgres' }).catch((error: unknown) => {
      throw new Error([...lines, (error as Error).message].join('\n'), { cause: error })
    })
    for (const [kind, count] of Object.entries(report.byKind)) expect(count, kind).toBe(1)
    expect(report.acknowledged).toBeGreaterThan(20)
  }, 600_000)
})
