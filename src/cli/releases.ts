import type { Release } from '../model/release.ts'
import type { AddCommand } from './command.ts'
import { formatAge, oneLine, shortDigest } from './format.ts'
import { addExamples, addServerOptions, countOption, type ServerOptions } from './options.ts'
import type { Output } from './output.ts'
import { withServer } from './server.ts'

interface ReleasesOptions extends ServerOptions {
  limit: number
}

const defaultLimit = 20
const widths = { version: 24, revision: 24, reason: 32 }

export const addReleases: AddCommand = (program, context) => {
  const command = program
    .command('releases')
    .summary('the history of a bundle')
    .description('The history of a bundle, newest first: what it served, since when, why.')
    .argument('<name>', 'the bundle')
    .option('--limit <count>', 'how many to show', countOption, defaultLimit)
    .action((name: string, options: ReleasesOptions) =>
      withServer(context, options, async (server) => {
        const releases = await server.releases(name, options.limit)
        const { output, clock } = context
        output.result({ bundle: name, releases }, describeReleases(name, releases, clock.now(), output))
      }),
    )
  addExamples(addServerOptions(command), 'releases authz --limit 5')
}

export function describeReleases(name: string, releases: readonly Release[], now: number, output: Output): string[] {
  if (releases.length === 0) return [`${name} has no release yet`]
  const rows = releases.map((release) => [
    `@${release.number}`,
    oneLine(release.version, widths.version),
    shortDigest(release.sourceDigest),
    release.bundleDigest === null ? '-' : shortDigest(release.bundleDigest),
    oneLine(release.revision ?? '-', widths.revision),
    formatAge(now - release.activatedAt),
    `${oneLine(release.reason, widths.reason)}${release.kept ? '' : ' (bytes are gone)'}`,
  ])
  return output.table([['RELEASE', 'VERSION', 'ARTIFACT', 'BUNDLE', 'REVISION', 'AGE', 'REASON'], ...rows])
}
