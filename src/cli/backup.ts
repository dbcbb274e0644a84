import { resolve } from 'node:path'
import { backUpStorage } from '../app/maintenance.ts'
import { counted, formatSize } from '../lib/units.ts'
import type { AddCommand } from './command.ts'
import { BadResult, exitStatus } from './exit.ts'
import { byServerOrAlone } from './folder.ts'
import { addExamples, addServerOptions, type ServerOptions } from './options.ts'

export const addBackup: AddCommand = (program, context) => {
  const command = program
    .command('backup')
    .summary('copy everything that is kept, while the server runs')
    .description(
      'Copy state and blobs into a new folder: by the running server, or by itself where none uses the data folder.',
    )
    .argument('<to>', "a new or empty folder; of the server's machine where that is another one")
    .action(async (to: string, options: ServerOptions) => {
      const { output, clock, cwd, signal } = context
      const path = resolve(cwd, to)
      const backedUp = await byServerOrAlone(context, options, {
        server: (server) => server.backUp(path),
        alone: (storage, config) => backUpStorage({ ...storage, clock }, config, path, signal),
      })
      const { blobs, bytes, missing } = backedUp
      output.result(backedUp, `${path}: the state, ${counted(blobs, 'blob')} (${formatSize(bytes)})`)
      if (missing.length > 0) {
        throw new BadResult(
          exitStatus.content,
          `${counted(missing.length, 'blob')} that the state names could not be found: ${missing.slice(0, 3).join(', ')}\n\`longshore verify-content\` says more.`,
        )
      }
    })
  addExamples(addServerOptions(command), 'backup /backup/longshore-monday')
}
