import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const made = new Set<string>()

/** A new empty folder. It is removed when the test file or the process ends; LONGSHORE_KEEP_TEMP=1 keeps it. */
export function tempDir(label = 'test'): string {
  const path = mkdtempSync(join(tmpdir(), `longshore-${label}-`))
  made.add(path)
  return path
}

export function removeTempDirs(): void {
  if (process.env.LONGSHORE_KEEP_TEMP === '1') return
  // Whoever was ended last may still write for a moment.
  for (const path of made) rmSync(path, { recursive: true, force: true, maxRetries: 10 })
  made.clear()
}

process.on('exit', removeTempDirs)
