import { collectStorage } from '../app/maintenance.ts'
import { silentLogger } from '../lib/logger.ts'
import { counted, formatSize } from '../lib/units.ts'
import { maxItems, type Collected } from '../registry/collect.ts'
import type { AddCommand } from './command.ts'
import { byServerOrAlone } from './folder.ts'
import { addExamples, addServerOptions, type ServerOptions } from './options.ts'
import type { Output } from './output.ts'

interface GcOptions extends ServerOptions {
  dryRun?: boolean
}

export const addGc: AddCommand = (program, context) => {
  const command = program
    .command('gc')
    .summary('remove blobs that nobody needs')
    .description(
      'Remove blobs that nobody needs: asks the running server for it, or does it itself where none uses the data folder.',
    )
    .option('--dry-run', 'change nothing, list what would go and why')
    .action(async ({ dryRun = false, ...options }: GcOptions) => {
      const { output, clock, signal } = context
      const collected = await byServerOrAlone(context, options, {
        server: (server) => server.collect(dryRun),
        alone: (storage, config) =>
          collectStorage({ ...storage, clock, logger: silentLogger }, config, { dryRun, signal, isAlone: true }),
      })
      output.result(collected, describeCollected(collected, output))
    })
  addExamples(addServerOptions(command), 'gc --dry-run', 'gc -c longshore.yaml')
}

export function describeCollected(collected: Collected, output: Pick<Output, 'table'>): string[] {
  const { dryRun, releases, manifests, blobs, files, bytes, left, items } = collected
  const gone = `${counted(files, 'blob')} (${formatSize(bytes)})`
  const parts = [counted(releases, 'release'), counted(manifests, 'manifest'), counted(blobs, 'blob')]
  const lines = [
    dryRun ? `would remove ${gone}` : `removed ${gone}`,
    `${dryRun ? 'would take' : 'took'} ${parts.join(', ')} out of repositories`,
    `${dryRun ? 'would leave' : 'left'} ${counted(left.files, 'blob')} (${formatSize(left.bytes)})`,
  ]
  if (items.length === 0) return lines
  const rows = items.map(({ what, digest, size, repository, reason }) => [
    ...[what, digest, formatSize(size), repository ?? '-', reason],
  ])
  const table = output.table([['WHAT', 'DIGEST', 'SIZE', 'REPOSITORY', 'WHY'], ...rows])
  const more = items.length === maxItems ? [`… only the first ${maxItems} are listed`] : []
  return [...table, ...more, '', ...lines]
}
