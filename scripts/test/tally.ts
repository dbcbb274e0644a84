// A vitest reporter that hands the counts to scripts/test.ts, through the file that LONGSHORE_TALLY names.
import { writeFileSync } from 'node:fs'
import type { Reporter, TestModule } from 'vitest/node'

export interface Tally {
  passed: number
  failed: number
  /** Full names of the tests that did not run. */
  skipped: string[]
}

export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const tally = count(modules)
    tally.failed += unhandledErrors.length
    const file = process.env.LONGSHORE_TALLY
    if (file !== undefined) writeFileSync(file, JSON.stringify(tally))
  }
}

function count(modules: readonly TestModule[]): Tally {
  const tally: Tally = { passed: 0, failed: 0, skipped: [] }
  for (const module of modules) {
    // A file that cannot be loaded and a beforeAll that throws fail without a test that does.
    for (const suite of [module, ...module.children.allSuites()]) if (suite.errors().length > 0) tally.failed++
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      if (state === 'passed') tally.passed++
      else if (state === 'failed') tally.failed++
      else tally.skipped.push(`${module.relativeModuleId} > ${test.fullName}`)
    }
  }
  return tally
}
