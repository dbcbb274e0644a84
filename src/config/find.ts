import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Environment } from './environment.ts'

export interface FindOptions {
  /** What `-c` names. */
  path?: string | undefined
  environment: Pick<Environment, 'configFile'>
  cwd: string
}

export const usualName = 'longshore.yaml'

/** The file that holds for a command, as somebody named it: `path`, else LONGSHORE_CONFIG, else ./longshore.yaml; null where there is none. */
export async function findConfigFile({ path, environment, cwd }: FindOptions): Promise<string | null> {
  const named = path ?? environment.configFile
  if (named !== undefined) return named
  const found = await stat(resolve(cwd, usualName)).catch(() => undefined)
  return found === undefined ? null : usualName
}
