import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { needs } from '../support/components.ts'
import { longshore, programPath } from '../support/longshore.ts'
import { writeFiles } from '../support/policy.ts'
import { startOlareg } from '../support/registries.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

needs('olareg')('longshore pull --watch', () => {
  it('keeps a folder up to date with a real registry, says each change as JSON, and ends well with SIGTERM', async () => {
    const registry = await startOlareg()
    const reference = `${registry.host}/acme/zones:stable`
    const first = await push({ 'db.a': '1', 'db.old': '1' }, reference)
    const folder = join(tempDir('watch'), 'zones')
    const watching = spawn(process.execPath, [
      ...[programPath, 'pull', reference, '-o', folder, '--watch', '--schedule', '200ms', '--json'],
    ])
    let [stdout, stderr] = ['', '']
    watching.stdout.on('data', (chunk) => (stdout += chunk))
    watching.stderr.on('data', (chunk) => (stderr += chunk))
    const ended = once(watching, 'exit') as Promise<[number | null, string | null]>
    const lines = () =>
      stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Record<string, unknown>)
    try {
      await waitFor('the first pull', () => lines().length === 1)
      const second = await push({ 'db.a': '2', 'internal/db.b': '2' }, reference)
      await waitFor('the second pull', () => lines().length === 2)
      expect(lines()).toEqual([
        { reference, folder, digest: first, written: ['db.a', 'db.old'], removed: [] },
        { reference, folder, digest: second, written: ['db.a', 'internal/db.b'], removed: ['db.old'] },
      ])
      expect(readFileSync(join(folder, 'internal/db.b'), 'utf8')).toBe('2')
      expect(readdirSync(folder).sort()).toEqual(['.longshore', 'db.a', 'internal'])
    } finally {
      watching.kill('SIGTERM')
    }
    expect(await ended, stderr).toEqual([0, null])
    await registry.stop()
  })

  it.each([
    [['--schedule', '1h'], /--schedule goes with --watch/],
    [['--watch', '--schedule', '1s'], /--schedule looks more often than every 5s/],
    [['--watch', '--schedule', 'off'], /--schedule off never looks again/],
    [['--watch', '--schedule', 'often'], /expected a duration such as 60s/],
  ])('is told of wrong use: %s', async (args, why) => {
    const result = await longshore(['pull', 'registry.test/zones', '-o', tempDir('watch'), ...args])
    expect(result.code).toBe(2)
    expect(result.stderr).toMatch(why)
  })
})

/** As titled files; returns the digest. */
async function push(files: Record<string, string>, reference: string): Promise<string> {
  const folder = writeFiles(files)
  const result = await longshore(['push', ...Object.keys(files), reference, '--json'], { cwd: folder })
  expect(result.code, result.stderr).toBe(0)
  return (JSON.parse(result.stdout) as { digest: string }).digest
}
