import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'
import type { ExecOptions } from './exec.ts'
import { longshore } from './longshore.ts'
import type { Opa } from './opa.ts'
import { tempDir } from './temp.ts'
import { waitFor } from './wait.ts'

/** Writes files (path → text) into a folder, a new one unless said. */
export function writeFiles(files: Record<string, string | Uint8Array>, folder = tempDir('files')): string {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

/** The files of a bundle that decides `NAME/version` by what it is called. */
export function policyFiles(version: string, name = 'authz'): Record<string, string> {
  return {
    '.manifest': JSON.stringify({ revision: version, roots: [name] }),
    'policy.rego': `package ${name}\n\nversion := "${version}"\n`,
  }
}

/** Pushes such a bundle with `longshore push`; returns the manifest's digest. */
export async function pushPolicy(
  version: string,
  reference: string,
  { name = 'authz', ...options }: ExecOptions & { name?: string } = {},
): Promise<string> {
  const pushed = await longshore(['push', writeFiles(policyFiles(version, name)), reference, '--json'], options)
  expect(pushed.code, pushed.stderr).toBe(0)
  return (JSON.parse(pushed.stdout) as { digest: string }).digest
}

export async function decides(opa: Opa, path: string, expected: unknown): Promise<void> {
  await waitFor(
    `${opa.process.name} to decide ${path} by ${String(expected)}`,
    async () => (await opa.query(path)) === expected,
  )
}
