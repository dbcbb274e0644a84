import type { Command } from 'commander'
import { loadConfigAside } from '../config/aside.ts'
import { startStateThread } from '../state/sqlite/client.ts'
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

/** Three things take long and do not need each other: the config, what opens a state, and all of the rest. */
async function serve(options: ServeOptions, version: string, context: CommandContext): Promise<void> {
  const { config: path, listen, rebuildState = false } = options
  const loadConfig = () => loadConfigAside({ path, listen, cwd: context.cwd, nowMs: context.clock.now() })
  const stateThread = startStateThread()
  const [config, { runDaemon }] = await Promise.all([loadConfig(), import('./daemon.ts')])
  await runDaemon({ config, loadConfig, stateThread, rebuildState, version }, context)
}
