import { ConfigError, type Problem } from '../lib/errors.ts'
import { Redactor } from '../lib/redact.ts'
import { serveTasks } from '../lib/threads.ts'
import type { LoadTask } from './aside.ts'
import { readEnvironment } from './environment.ts'
import { loadConfig } from './load.ts'
import { packConfig } from './portable.ts'

// The program of the thread that reads the config.

serveTasks({
  async load({ nowMs, ...task }: LoadTask) {
    const redactor = new Redactor()
    try {
      return packConfig(await loadConfig({ ...task, environment: readEnvironment(), redactor, now: () => nowMs }))
    } catch (error) {
      throw error instanceof ConfigError ? redacted(error, redactor) : error
    }
  },
})

/** Only here the secrets of a config that is refused are known. */
function redacted({ message, code, hint, problems }: ConfigError, redactor: Redactor): ConfigError {
  return new ConfigError(redactor.redact(message), {
    code,
    problems: JSON.parse(redactor.redact(JSON.stringify(problems))) as Problem[],
    ...(hint !== undefined && { hint: redactor.redact(hint) }),
  })
}
