// npm run bench [-- NAME…]: ratios measured side by side in one run. Ends with 1 where one misses its goal.
import { cpus } from 'node:os'
import { run as runBundles } from './bundles.ts'
import { run as runCatalog } from './catalog.ts'
import { run as runDeploy } from './deploy.ts'
import { run as runFollow } from './follow.ts'
import { run as runLooks } from './looks.ts'
import { run as runPush } from './push.ts'
import { run as runTransfer } from './transfer.ts'
import { run as runRegistry } from './registry.ts'
import type { Bench, Row } from './row.ts'
import { run as runStart } from './start.ts'
import { run as runWaiting } from './waiting.ts'
import { run as runWebhook } from './webhook.ts'

const benches: Record<string, Bench> = {
  push: runPush,
  deploy: runDeploy,
  bundles: runBundles,
  waiting: runWaiting,
  registry: runRegistry,
  catalog: runCatalog,
  start: runStart,
  looks: runLooks,
  follow: runFollow,
  transfer: runTransfer,
  webhook: runWebhook,
}

const names = process.argv.slice(2)
const unknown = names.filter((name) => !(name in benches))
if (unknown.length > 0) {
  console.error(`there is no bench ${unknown.join(', ')}: there are ${Object.keys(benches).join(', ')}`)
  process.exitCode = 2
} else {
  await measure(names.length > 0 ? names : Object.keys(benches))
}

async function measure(names: string[]): Promise<void> {
  const rows: Row[] = []
  for (const name of names) {
    for await (const row of benches[name]!()) {
      console.log(`${row.holds ? 'holds ' : 'MISSED'} ${name}: ${row.what}: ${row.ours} (goal ${row.goal})`)
      rows.push(row)
    }
  }
  console.log(`\n${tableOf(rows)}\n`)
  if (rows.some(({ holds }) => !holds)) process.exitCode = 1
}

/** As docs/performance.md has it. */
function tableOf(rows: Row[]): string {
  const [{ model = 'unknown processor' } = {}, ...others] = cpus()
  return [
    `${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${model} × ${others.length + 1}`,
    '',
    '| what | ours | beside it | goal | |',
    '|---|---|---|---|---|',
    ...rows.map(
      ({ what, ours, beside, goal, holds }) =>
        `| ${what} | ${ours} | ${beside} | ${goal} | ${holds ? 'holds' : '**missed**'} |`,
    ),
  ].join('\n')
}
