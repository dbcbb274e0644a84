import { existsSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

const setupFiles = ['test/support/setup.ts']
// What unit tests write is small, and is not there to outlive a power cut: memory saves the waiting for the disk.
const memory = '/dev/shm'
// No test is about how long it takes. On a machine that has much else to do, each waits for what it waits for.
const patience = { testTimeout: 300_000, hookTimeout: 300_000 }
const env: Record<string, string> = existsSync(memory) ? { TMPDIR: memory } : {}

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/conformance/**/*.unit.test.ts'],
          setupFiles,
          env,
          ...patience,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'faults',
          include: ['test/faults/**/*.test.ts', 'test/fuzz/**/*.test.ts'],
          setupFiles,
          ...patience,
        },
      },
      {
        test: {
          name: 'model',
          include: ['test/model/**/*.test.ts'],
          setupFiles,
          env,
          ...patience,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts', 'test/conformance/**/*.test.ts'],
          exclude: ['test/conformance/**/*.unit.test.ts'],
          setupFiles,
          ...patience,
          // Real servers share the cores with the tests.
          maxWorkers: 2,
        },
      },
    ],
  },
})
