// What `npm test` says and how it ends where real programs are missing: an empty cache, and no Go to build them with.
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { exec } from '../support/exec.ts'
import { tempDir } from '../support/temp.ts'

const root = join(import.meta.dirname, '../..')
// One that needs nothing, one that needs olareg.
const files = ['test/unit/lib/units.test.ts', 'test/e2e/layout-peers.test.ts']

async function runTests(more: Record<string, string>) {
  const nothingElse = Object.fromEntries(Object.keys(process.env).map((name) => [name, undefined]))
  const env = {
    ...nothingElse,
    PATH: dirname(process.execPath),
    HOME: tempDir('home'),
    LONGSHORE_CACHE: tempDir('cache'),
  }
  const args = ['scripts/test.ts', ...files]
  const { code, stdout, stderr } = await exec(process.execPath, args, { cwd: root, env: { ...env, ...more } })
  return { status: code, last: stdout.trimEnd().split('\n').at(-1), output: stdout + stderr }
}

test('what needs them is left out, and one line says why and how to bring it', async () => {
  const { status, last, output } = await runTests({})
  expect(status, output).toBe(0)
  expect(last).toMatch(/^[1-9]\d* passed, 0 failed$/)
  const lines = output.split('\n').filter((line) => line.startsWith('left out what needs '))
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(/olareg.*there is no `go` in PATH.*: bring with `node scripts\/components\.ts .*olareg/)
})

test('in CI that is a failure', async () => {
  const { status, last, output } = await runTests({ CI: 'true' })
  expect(status).toBe(1)
  expect(last).toMatch(/^\d+ passed, [1-9]\d* failed$/)
  expect(output).toContain('missing ')
})
