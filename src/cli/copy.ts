import { ConfigError } from '../lib/errors.ts'
import { counted, formatSize } from '../lib/units.ts'
import { copyTags, type CopyTagsResult } from '../oci/copy-tags.ts'
import { copy, type CopyResult } from '../oci/copy.ts'
import type { AddCommand, CommandContext } from './command.ts'
import { withReferences, type Open, type Opened, type OpenOptions } from './open-reference.ts'
import { addExamples, addRemoteOptions, type RemoteOptions } from './options.ts'

type CopyTally = Pick<CopyResult, 'blobsCopied' | 'bytes' | 'mounted' | 'skipped'>

interface CopyCommandOptions extends RemoteOptions {
  allTags?: boolean
  recursive?: boolean
  platform?: string
}

export const addCopy: AddCommand = (program, context) => {
  const command = program
    .command('copy')
    .summary('copy an artifact between registries and OCI layouts')
    .description('Copy an artifact between registries and OCI layouts, bytes unchanged: the digest stays what it was.')
    .argument('<from>', 'host/repository:tag, host/repository@sha256:… or oci-layout:DIR:tag')
    .argument('<to>', 'the same; a layout is made where there is none')
    .option('-a, --all-tags', 'copy every tag of a repository or layout; both are named without one')
    .option('-r, --recursive', 'take signatures and whatever else refers to it along')
    .option('--platform <os/arch>', 'of an index only the member for this platform')
    .action((from: string, to: string, options: CopyCommandOptions) =>
      withReferences(context, options, async (open) =>
        options.allTags === true
          ? runAllTags(
              context,
              await openRepository(open, from),
              await openRepository(open, to, { create: true }),
              options,
            )
          : run(context, await open(from), await open(to, { create: true }), options),
      ),
    )
  addExamples(
    addRemoteOptions(command),
    'copy ghcr.io/acme/policies:1.4.2 registry.prod/policies:1.4.2 --recursive',
    'copy ghcr.io/acme/policies:1.4.2 oci-layout:./carry:1.4.2',
    'copy ghcr.io/acme/policies registry.prod/policies --all-tags',
  )
}

async function run(context: CommandContext, from: Opened, to: Opened, options: CopyCommandOptions): Promise<void> {
  const { output, signal } = context
  await checkDigest(context, from, to, options)
  const progress = output.progress(`copying ${from.text}`)
  let result: CopyResult
  try {
    result = await copy(from.target, from.reference, to.target, {
      tags: to.tag === undefined ? [] : [to.tag],
      referrers: options.recursive === true,
      ...(options.platform !== undefined && { platform: options.platform }),
      onProgress: ({ bytes, totalBytes }) => progress.update(bytes, totalBytes),
      signal,
    })
  } finally {
    progress.end()
  }
  output.result({ from: from.full, to: to.full, ...result }, [
    `${to.full}`,
    `${result.digest}  ${describeWork(result)}`,
  ])
}

async function runAllTags(
  context: CommandContext,
  from: Opened,
  to: Opened,
  options: CopyCommandOptions,
): Promise<void> {
  const { output, signal } = context
  if (options.platform !== undefined) {
    throw new ConfigError('--platform chooses from one artifact, and --all-tags means all of them', { code: 'usage' })
  }
  const progress = output.progress(`copying ${from.target.name}`)
  let result: CopyTagsResult
  try {
    result = await copyTags(from.target, to.target, {
      referrers: options.recursive === true,
      onProgress: ({ bytes, totalBytes }) => progress.update(bytes, totalBytes),
      signal,
    })
  } finally {
    progress.end()
  }
  const changed = result.tags.filter((tag) => tag.changed).length
  const same = result.tags.length - changed
  output.result({ from: from.target.name, to: to.target.name, ...result }, [
    to.target.name,
    `${counted(changed, 'tag')} copied${same > 0 ? `, ${same} the same already` : ''}; ${describeWork(result)}`,
  ])
}

async function openRepository(open: Open, text: string, options: OpenOptions = {}): Promise<Opened> {
  const opened = await open(text, options)
  if (!opened.explicit) return opened
  throw new ConfigError(`${text} names one artifact, and --all-tags means all of them`, {
    code: 'usage',
    hint: 'Name the repository without a tag.',
  })
}

/** A target by digest is a promise of what will be there: it is checked before anything is sent. */
async function checkDigest(
  { signal }: CommandContext,
  from: Opened,
  to: Opened,
  options: CopyCommandOptions,
): Promise<void> {
  if (to.digest === undefined || options.platform !== undefined) return
  const { digest } = await from.target.manifest(from.reference, signal)
  if (digest === to.digest) return
  throw new ConfigError(`${from.text} is ${digest}, so it cannot become ${to.text}`, {
    code: 'usage',
    hint: 'Copying never changes a digest: name a tag, or leave it out.',
  })
}

function describeWork({ blobsCopied, bytes, mounted, skipped }: CopyTally): string {
  const parts = [`${counted(blobsCopied, 'blob')} copied (${formatSize(bytes)})`]
  if (mounted > 0) parts.push(`${mounted} mounted`)
  if (skipped > 0) parts.push(`${skipped} there already`)
  return parts.join(', ')
}
