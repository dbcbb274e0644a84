import { stopAllProcesses } from '../test/support/process.ts'
import { removeTempDirs } from '../test/support/temp.ts'
import type { Row } from './row.ts'
import { measureCopy } from './transfer/big.ts'
import { measureMany } from './transfer/many.ts'
import { measureRepack, measureServer } from './transfer/server.ts'

// Moving bytes, beside real programs that move the same at the same time of day: in turns, medians.

export async function* run(): AsyncGenerator<Row> {
  for (const measure of [measureMany, measureCopy, measureServer, measureRepack]) {
    try {
      yield* measure()
    } finally {
      await stopAllProcesses()
      removeTempDirs()
    }
  }
}
