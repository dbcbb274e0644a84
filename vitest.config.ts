import { existsSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

const setupFiles = ['test/support/setup.ts']
// What unit tests write is small, and is not there to outlive a power cut: memory saves the waiting for the disk.
const memory = '/dev/shm'
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
          testTimeout: 10_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'faults',
          include: ['test/faults/**/*.test.ts', 'test/fuzz/**/*.test.ts'],
          setupFiles,
          testTimeout: 10_000,
        },
      },
      {
        test: {
          name: 'model',
          include: ['test/model/**/*.test.ts'],
          setupFiles,
          env,
          testTimeout: 10_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts', 'test/conformance/**/*.test.ts'],
          exclude: ['test/conformance/**/*.unit.test.ts'],
          setupFiles,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // Real servers share the cores with the tests.
          maxWorkers: 2,
        },
      },
    ],
  },
})
