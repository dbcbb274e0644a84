// npm test: brings the real components, runs all tests, or those that vitest's arguments choose, and says the count
// on a last line of its own.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bringComponents } from './components/bring.ts'
import { testComponentNames } from './components/list.ts'
import type { Tally } from './test/tally.ts'

const root = join(import.meta.dirname, '..')
const args = process.argv.slice(2)
const strict = process.env.CI === 'true'

// In CI the tests that need them fail, which says more than stopping here would.
const missing = await bringComponents(testComponentNames, console.log)
const { passed, failed } = judge(runVitest())
if (failed > 0 || passed === 0) process.exitCode = 1
if (missing.length > 0) {
  const names = missing.map(({ name }) => name)
  const reasons = [...new Set(missing.map(({ why }) => why))].join('; ')
  console.error(
    `left out what needs ${names.join(', ')} (${reasons}): bring with \`node scripts/components.ts ${names.join(' ')}\``,
  )
}
console.log(`${passed} passed, ${failed} failed`)

function runVitest(): { status: number | null; tally?: Tally } {
  const folder = mkdtempSync(join(tmpdir(), 'longshore-tally-'))
  const file = join(folder, 'tally.json')
  try {
    const reporters = ['--reporter=default', `--reporter=${join(import.meta.dirname, 'test/tally.ts')}`]
    const { status } = spawnSync(join(root, 'node_modules/.bin/vitest'), ['run', ...reporters, ...args], {
      cwd: root,
      env: { ...process.env, LONGSHORE_TALLY: file },
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    return { status, tally: JSON.parse(readFileSync(file, 'utf8')) as Tally }
  } catch {
    return { status: 1 }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Nothing counts as success that did not run: no tests at all, a vitest that fell over, in CI a skipped test. */
function judge({ status, tally }: { status: number | null; tally?: Tally }): { passed: number; failed: number } {
  if (tally === undefined) {
    console.error('vitest ended without a result: see above')
    return { passed: 0, failed: 1 }
  }
  const { passed, skipped } = tally
  let { failed } = tally
  if (strict && skipped.length > 0) {
    console.error(`Skipped, which is a failure in CI:\n${skipped.map((name) => `  ${name}`).join('\n')}`)
    failed += skipped.length
  }
  if (failed === 0 && status !== 0) {
    console.error(`no test failed, but vitest ended with ${status}: see above`)
    failed = 1
  }
  if (passed + failed === 0) console.error('no test ran')
  return { passed, failed }
}
