import { Option } from 'commander'
import { ConfigError } from '../lib/errors.ts'
import { counted, formatDuration } from '../lib/units.ts'
import type { AddCommand, CommandContext } from './command.ts'
import { describeError } from './exit.ts'
import { withReferences, type Opened } from './open-reference.ts'
import { addExamples, addRemoteOptions, durationOption, type RemoteOptions } from './options.ts'
import { watchTags, type TagChange } from './watch-tags.ts'

interface TagsOptions extends RemoteOptions {
  watch?: boolean
  interval: number
}

const defaultIntervalMs = 30_000
const leastIntervalMs = 1000

export const addTags: AddCommand = (program, context) => {
  const command = program
    .command('tags')
    .summary('list the tags of a repository, or watch them')
    .description('List the tags of a repository, or say when one comes, moves or goes.')
    .argument('<repo>', 'host/repository or oci-layout:DIR')
    .option('-w, --watch', 'go on, with a line for each change, until interrupted')
    .addOption(
      new Option('--interval <duration>', 'how often to look with --watch')
        .argParser(durationOption(leastIntervalMs))
        .default(defaultIntervalMs, '30s'),
    )
    .action((repo: string, options: TagsOptions) =>
      withReferences(context, options, async (open) => {
        const opened = await open(repo)
        refuseVersion(opened)
        if (options.watch === true) await watch(context, opened, options.interval)
        else await list(context, opened)
      }),
    )
  addExamples(
    addRemoteOptions(command),
    'tags ghcr.io/acme/policies',
    'tags localhost:5000/policies --watch --interval 10s',
  )
}

async function list(context: CommandContext, { target }: Opened): Promise<void> {
  const tags: string[] = []
  for await (const tag of target.tags(context.signal)) tags.push(tag)
  context.output.result({ repository: target.name, tags }, tags)
}

async function watch({ output, clock, signal }: CommandContext, { target }: Opened, intervalMs: number): Promise<void> {
  await watchTags(target, {
    intervalMs,
    clock,
    signal,
    onStart: (tags) =>
      output.note(`watching ${counted(tags.size, 'tag')} of ${target.name}, every ${formatDuration(intervalMs)}`),
    onChange: (change) => output.item(change, describeChange(change)),
    onFailure: (error) => output.warn(`${describeError(error)}\nlooking again in ${formatDuration(intervalMs)}`),
  })
}

/** `1.2.0  sha256:…  added`. */
export function describeChange(change: TagChange): string {
  if (change.change === 'removed') return `${change.tag}  ${change.previous}  removed`
  const from = change.change === 'moved' ? ` from ${change.previous}` : ''
  return `${change.tag}  ${change.digest}  ${change.change}${from}`
}

function refuseVersion({ text, explicit }: Opened): void {
  if (!explicit) return
  throw new ConfigError(`tags takes a repository, and ${text} names one version of it`, {
    code: 'usage',
    hint: 'Leave out the tag or digest; `longshore inspect` shows one version.',
  })
}
