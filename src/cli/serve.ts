import type { Worker } from 'node:worker_threads'
import type { Command } from 'commander'
import { loadConfigAside } from '../config/aside.ts'
import { startStateThread } from '../state/sqlite/thread.ts'
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
  const { ahead, cwd, clock } = context
  const loadConfig = (thread?: Worker) => loadConfigAside({ path, listen, cwd, nowMs: clock.now() }, thread)
  const stateThread = ahead?.state ?? startStateThread()
  const [config, { runDaemon }] = await Promise.all([loadConfig(ahead?.config), import('./daemon.ts')])
  await runDaemon({ config, loadConfig: () => loadConfig(), stateThread, rebuildState, version }, context)
}
