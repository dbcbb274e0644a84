import { RemoteError } from '../lib/errors.ts'
import { isDigest } from '../oci/digest.ts'
import type { AddCommand } from './command.ts'
import { withReferences, type Opened } from './open-reference.ts'
import { addExamples, addRemoteOptions, type RemoteOptions } from './options.ts'
import { ConfigError } from '../lib/errors.ts'

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
        await target.deleteManifest(digest, context.signal).catch(explainRefusal(opened, 'manifests', storageSetting))
        context.output.result(
          { repository: target.name, deleted: digest },
          `deleted ${digest} in ${target.name}, with every tag that stood for it`,
        )
      }),
    )
  addExamples(addRemoteOptions(command), 'delete localhost:5000/policies:1.0.0')
}

const storageSetting =
  'Many registries are started with deletes off: in distribution `storage.delete.enabled: true` allows them, elsewhere it is a setting of the registry, or its web page deletes.'

/** Nobody may lose what a tag stands for because the tag was left out. */
export function requireVersion({ text, explicit }: Opened, verb: string): void {
  if (explicit) return
  throw new ConfigError(`${verb} needs a tag or a digest, and ${text} has none`, {
    code: 'usage',
    hint: `Write it as ${text}:TAG; \`longshore tags ${text}\` shows which there are.`,
  })
}

/** Some registries say 405 or 400 with UNSUPPORTED, some just 404 to a DELETE that they do not know. */
export function explainRefusal(opened: Opened, what: string, hint: string): (error: unknown) => never {
  return (error) => {
    if (error instanceof RemoteError && error.code === 'unsupported') {
      throw new RemoteError(
        'unsupported',
        `${opened.host ?? opened.target.name} does not let anybody delete ${what}: ${error.message}`,
        {
          host: error.host,
          ...(error.status !== undefined && { status: error.status }),
          hint,
          cause: error,
        },
      )
    }
    throw error
  }
}
