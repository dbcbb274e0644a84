import { defineConfig } from 'vitest/config'

const setupFiles = ['test/support/setup.ts']

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/fuzz/**/*.test.ts', 'test/conformance/**/*.unit.test.ts'],
          setupFiles,
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
