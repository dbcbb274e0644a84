// Runs in every test file: shows what servers wrote when a test fails, and leaves nothing behind.
import { afterAll, afterEach, beforeEach } from 'vitest'
import { forgetEnded, processLogs, stopAllProcesses } from './process.ts'
import { removeTempDirs } from './temp.ts'

beforeEach(forgetEnded)

afterEach(({ task }) => {
  const logs = task.result?.state === 'fail' ? processLogs() : ''
  if (logs !== '') process.stderr.write(`\n${task.name} failed\n${logs}\n`)
})

afterAll(async () => {
  await stopAllProcesses()
  removeTempDirs()
})
