import type { Config } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import type { CommandContext } from './command.ts'

/** The config that holds for a command: what `-c` names, else LONGSHORE_CONFIG, else ./longshore.yaml, else the defaults. Throws ConfigError. */
export async function readConfig(context: CommandContext, path: string | undefined): Promise<Config> {
  const { environment, cwd, redactor, clock } = context
  return loadConfig({ path, environment, cwd, redactor, now: () => clock.now() })
}
