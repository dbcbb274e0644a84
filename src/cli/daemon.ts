import { startApp, type App, type AppOptions } from '../app.ts'
import type { Config } from '../config/config.ts'
import { formatProblems } from '../config/problems.ts'
import { ConfigError, logFields } from '../lib/errors.ts'
import { endStart, holdYoungGeneration, keepTrimmed } from '../lib/heap.ts'
import { createLogger, type Logger } from '../lib/logger.ts'
import { keepTicksFast } from '../lib/ticks.ts'
import type { CommandContext } from './command.ts'

export type DaemonOptions = Pick<AppOptions, 'config' | 'loadConfig' | 'stateThread' | 'rebuildState' | 'version'>

/** What was restored is read by then, and the first looks have been made. */
const startedMs = 10_000

/** Until it is told to stop. */
export async function runDaemon(options: DaemonOptions, context: CommandContext): Promise<void> {
  const { config, version } = options
  const { environment, redactor, clock, signal } = context
  holdYoungGeneration()
  keepTicksFast()
  const logger = openLog(config, context)
  const random = () => Math.random()
  let app: App | undefined
  let hungUp = false
  // Taken from the first moment to the last: a hangup that nobody takes would end the process.
  const stopHangups = context.onHangup(() => {
    if (app === undefined) hungUp = true
    else if (!signal.aborted) void reload(app, logger)
  })
  try {
    app = await startApp({ ...options, environment, clock, random, logger, redactor, signal })
    clock.after(startedMs, endStart)
    keepTrimmed(clock)
    const { url } = app
    logger.info({ url, config: config.file, data: config.content.path }, `longshore ${version} at ${url}`)
    if (config.file === null) context.output.note(await nextSteps(url, config.content.path))
    if (hungUp) void reload(app, logger)
    const why = await Promise.race([aborted(signal), app.lost])
    if (why !== undefined) throw why
    logger.info('stopping, once what is under way has ended; a second Ctrl-C or SIGTERM ends it at once')
  } catch (error) {
    // Stopped while it stood by.
    if (!signal.aborted || error !== signal.reason) throw error
  } finally {
    await app?.close()
    stopHangups()
  }
}

function openLog({ log }: Config, { redactor, stderr }: CommandContext): Logger {
  const isTerminal = 'isTTY' in stderr && Boolean(stderr.isTTY)
  const pretty = log.format === 'pretty' || (log.format === 'auto' && isTerminal)
  return createLogger({ level: log.level, pretty, redactor, stream: stderr })
}

async function reload(app: App, logger: Logger): Promise<void> {
  try {
    logger.info(await app.reload(), 'config reloaded')
  } catch (error) {
    const has = error instanceof ConfigError && error.problems.length > 0
    const why = has ? formatProblems(error.problems) : error instanceof Error ? error.message : String(error)
    logger.error(logFields(error), `the changed config is refused as a whole, the running one goes on\n${why}`)
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
}

/** With nothing configured: what is where, and a command to copy for each next step. */
async function nextSteps(url: string, data: string): Promise<string> {
  const { exampleRepository } = await import('../app/example.ts')
  const host = new URL(url).host
  const isUsual = url === 'http://127.0.0.1:8085'
  return `
Nothing is configured, so this is the example: the policy in examples/policy, pushed to the
built-in registry as ${exampleRepository}, followed and served as the bundle "example".

  bundle    ${url}/bundles/example
  registry  ${host}/${exampleRepository}:latest
  data      ${data}

Next, each in a shell of its own, from the folder of this clone:

  run an OPA that enforces it:
    opa run --server --addr 127.0.0.1:8181 --config-file examples/opa-http.yaml${isUsual ? '' : ` --set services.longshore.url=${url}`}
  ask it:
    curl -s 127.0.0.1:8181/v1/data/example/allow -d '{"input":{"user":"bob","action":"read"}}'
  push a changed policy, and ask again:
    npx longshore push examples/policy-v2 ${host}/${exampleRepository}:latest
  see what happened:
    npx longshore status${isUsual ? '' : ` --server ${url}`}

To configure your own, see config/longshore.yaml. Ctrl-C stops it.
`
}
