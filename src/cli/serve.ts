import type { Command } from 'commander'
import { startApp, type App } from '../app.ts'
import { exampleRepository } from '../app/example.ts'
import type { Config } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { formatProblems } from '../config/problems.ts'
import { ConfigError } from '../lib/errors.ts'
import { createLogger, type Logger } from '../lib/logger.ts'
import type { AddCommand, CommandContext } from './command.ts'

interface ServeOptions {
  config?: string
  listen?: string
  rebuildState?: boolean
}

export const addServe: AddCommand = (program, context) => {
  program
    .command('serve')
    .description('run the daemon: watch, serve, deploy')
    .option('-c, --config <file>', 'the config; else LONGSHORE_CONFIG, else ./longshore.yaml, else the example')
    .option('--listen <host:port>', "goes before the config's server.listen")
    .option('--rebuild-state', 'make a state that was lost anew from the data folder; deploying is held then')
    .addHelpText('after', '\nExample:\n  longshore serve -c longshore.yaml\n')
    .action(async (options: ServeOptions, command: Command) => {
      await serve(options, command.parent?.version() ?? '', context)
    })
}

async function serve(options: ServeOptions, version: string, context: CommandContext): Promise<void> {
  const { environment, redactor, clock, cwd, signal } = context
  const { config: path, listen, rebuildState = false } = options
  const load = () => loadConfig({ path, listen, environment, cwd, redactor, now: () => clock.now() })
  const config = await load()
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
    const parts = { environment, version, clock, random, logger, redactor }
    app = await startApp({ config, loadConfig: load, rebuildState, ...parts })
    logger.info({ url: app.url, config: config.file, data: config.content.path }, `longshore ${version} at ${app.url}`)
    if (config.file === null) context.output.note(nextSteps(app.url, config.content.path))
    if (hungUp) void reload(app, logger)
    await aborted(signal)
    logger.info('stopping, once what is under way has ended; a second Ctrl-C or SIGTERM ends it at once')
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
    const problems = error instanceof ConfigError ? formatProblems(error.problems) : ''
    logger.error({ err: error }, `the changed config is refused as a whole, the running one goes on\n${problems}`)
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** With nothing configured: what is where, and a command to copy for each next step. */
function nextSteps(url: string, data: string): string {
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
