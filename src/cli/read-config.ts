import type { Config } from '../config/config.ts'
import { findConfigFile } from '../config/find.ts'
import { registrySettings } from '../config/registries.ts'
import type { Registries } from '../oci/settings.ts'
import type { CommandContext } from './command.ts'

/** The config that holds for a command: what `-c` names, else LONGSHORE_CONFIG, else ./longshore.yaml, else the defaults. Throws ConfigError. */
export async function readConfig(context: CommandContext, path: string | undefined): Promise<Config> {
  const { environment, cwd, redactor, clock } = context
  // The schema and all that checks it is the larger part of what a small command would load.
  const { loadConfig } = await import('../config/load.ts')
  return loadConfig({ path, environment, cwd, redactor, now: () => clock.now() })
}

/** What it says of registries; where there is no file nothing has to be read, and none is. Throws ConfigError. */
export async function configuredRegistries(context: CommandContext, path: string | undefined): Promise<Registries> {
  const { environment, cwd } = context
  if ((await findConfigFile({ path, environment, cwd })) === null) return {}
  return registrySettings((await readConfig(context, path)).registries)
}
