import { resolve } from 'node:path'
import { createFolderContent } from '../content/folder.ts'
import { silentLogger } from '../lib/logger.ts'
import { counted, formatSize } from '../lib/units.ts'
import { restore, type Restored } from '../registry/restore.ts'
import { fillDatabase, refuseFullDatabase } from '../app/database.ts'
import type { Config } from '../config/config.ts'
import { checkSnapshot, openSnapshot, putSnapshot } from '../state/sqlite/snapshot.ts'
import { takeLock } from '../state/sqlite/lock.ts'
import type { AddCommand, CommandContext } from './command.ts'
import { BadResult, exitStatus } from './exit.ts'
import { addConfigOption, addExamples, type ConfigOption } from './options.ts'
import { readConfig } from './read-config.ts'

export const addRestore: AddCommand = (program, context) => {
  const command = program
    .command('restore')
    .summary('fill an empty data folder from a backup')
    .description("Fill the config's data folder, which has to be new or empty, from what `backup` wrote.")
    .argument('<from>', 'the folder of the backup')
    .action(async (from: string, options: ConfigOption) => {
      const config = await readConfig(context, options.config)
      const restored = await fill(context, resolve(context.cwd, from), config)
      const { path, at, blobs, bytes, damaged } = restored
      const when = new Date(at).toISOString()
      context.output.result(restored, `${path}: as it was at ${when}, ${counted(blobs, 'blob')} (${formatSize(bytes)})`)
      if (damaged.length > 0) {
        throw new BadResult(
          exitStatus.content,
          `${counted(damaged.length, 'blob')} damaged or missing in the backup: ${damaged.slice(0, 3).join(', ')}\nWhat follows another registry is fetched again; what was pushed here has to be pushed again.`,
        )
      }
    })
  addExamples(addConfigOption(command), 'restore /backup/longshore-monday -c longshore.yaml')
}

async function fill(context: CommandContext, from: string, config: Config): Promise<Restored> {
  const { output, signal } = context
  const to = config.content.path
  const database = config.state.type === 'postgres' ? config.state : undefined
  // Else the blobs come, and only then it turns out that the database is not empty.
  if (database !== undefined) await refuseFullDatabase(database, context)
  const progress = output.progress(`restoring ${to}`)
  try {
    return await restore({
      ...{ from, to, signal, checkSnapshot, openSnapshot, lock: takeLock },
      putState:
        database === undefined ? putSnapshot : (file, folder) => fillDatabase(database, { file, folder }, context),
      openContent: (path) => createFolderContent({ path, logger: silentLogger }),
      onProgress: (bytes, total) => progress.update(bytes, total),
    })
  } finally {
    progress.end()
  }
}
