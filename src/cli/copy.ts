import { ConfigError } from '../lib/errors.ts'
import { formatSize } from '../lib/units.ts'
import { copy, type CopyResult } from '../oci/copy.ts'
import type { AddCommand, CommandContext } from './command.ts'
import { counted } from './format.ts'
import { withReferences, type Opened } from './open-reference.ts'
import { addExamples, addRemoteOptions, type RemoteOptions } from './options.ts'

interface CopyCommandOptions extends RemoteOptions {
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
    .option('-r, --recursive', 'take signatures and whatever else refers to it along')
    .option('--platform <os/arch>', 'of an index only the member for this platform')
    .action((from: string, to: string, options: CopyCommandOptions) =>
      withReferences(context, options, async (open) =>
        run(context, await open(from), await open(to, { create: true }), options),
      ),
    )
  addExamples(
    addRemoteOptions(command),
    'copy ghcr.io/acme/policies:1.4.2 registry.prod/policies:1.4.2 --recursive',
    'copy ghcr.io/acme/policies:1.4.2 oci-layout:./carry:1.4.2',
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

function describeWork({ blobsCopied, bytes, mounted, skipped }: CopyResult): string {
  const parts = [`${counted(blobsCopied, 'blob')} copied (${formatSize(bytes)})`]
  if (mounted > 0) parts.push(`${mounted} mounted`)
  if (skipped > 0) parts.push(`${skipped} there already`)
  return parts.join(', ')
}
