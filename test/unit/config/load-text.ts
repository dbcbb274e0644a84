import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../../../src/config/config.ts'
import { readEnvironment } from '../../../src/config/environment.ts'
import { loadConfig, type LoadOptions } from '../../../src/config/load.ts'
import { ConfigError, type Problem } from '../../../src/lib/errors.ts'
import { tempDir } from '../../support/temp.ts'

export interface Given {
  env?: Record<string, string>
  /** Where the file is written; a new folder by default. */
  folder?: string
  options?: Partial<LoadOptions>
}

export async function load(
  text: string | Buffer,
  { env = {}, folder = tempDir('config'), options }: Given = {},
): Promise<Config> {
  writeFileSync(join(folder, 'longshore.yaml'), text)
  const now = () => Date.UTC(2026, 0, 1)
  return loadConfig({ environment: readEnvironment(env), cwd: folder, now, ...options })
}

/** What is wrong with the text; empty when nothing is. */
export async function problems(text: string | Buffer, given: Given = {}): Promise<Problem[]> {
  try {
    await load(text, given)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}
