import { ConfigError, RemoteError } from '../lib/errors.ts'
import { isDigest } from '../oci/digest.ts'
import type { AddCommand } from './command.ts'
import { withReferences, type Opened } from './open-reference.ts'
import { addExamples, addRemoteOptions, type RemoteOptions } from './options.ts'

export const addDelete: AddCommand = (program, context) => {
  const command = program
    .command('delete')
    .summary('delete a manifest with its tags')
    .description(
      'Delete a manifest, and with it every tag that stands for it. Blobs go when the registry collects them.',
    )
    .argument('<ref>', 'host/repository@sha256:…, host/repository:tag or oci-layout:DIR:tag')
    .action((ref: string, options: RemoteOptions) =>
      withReferences(context, options, async (open) => {
        const opened = await open(ref)
        requireVersion(opened, 'delete')
        const { target, reference } = opened
        const digest = isDigest(reference) ? reference : (await target.manifest(reference, context.signal)).digest
        await target.deleteManifest(digest, context.signal).catch(explainUnsupported(withoutDeletes))
        context.output.result(
          { repository: target.name, deleted: digest },
          `deleted ${digest} in ${target.name}, with every tag that stood for it`,
        )
      }),
    )
  addExamples(addRemoteOptions(command), 'delete localhost:5000/policies:1.0.0')
}

const withoutDeletes =
  'Many registries are started so that nobody may delete: in distribution `storage.delete.enabled: true` allows it, elsewhere a setting or the web page of the registry.'

/** Nobody may lose what a tag stands for because the tag was left out. */
export function requireVersion({ text, explicit }: Opened, verb: string): void {
  if (explicit) return
  throw new ConfigError(`${verb} needs a tag or a digest, and ${text} has none`, {
    code: 'usage',
    hint: `Write it as ${text}:TAG; \`longshore tags ${text}\` shows which there are.`,
  })
}

/** For a registry that cannot do it: the same error, with what to do instead. */
export function explainUnsupported(hint: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof RemoteError) || error.code !== 'unsupported') throw error
    const { message, host, status } = error
    throw new RemoteError('unsupported', message, { host, hint, ...(status !== undefined && { status }) })
  }
}
