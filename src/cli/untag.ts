import { ConfigError } from '../lib/errors.ts'
import { isDigest } from '../oci/digest.ts'
import type { AddCommand } from './command.ts'
import { explainUnsupported, requireVersion } from './delete.ts'
import { withReferences } from './open-reference.ts'
import { addExamples, addRemoteOptions, type RemoteOptions } from './options.ts'

export const addUntag: AddCommand = (program, context) => {
  const command = program
    .command('untag')
    .summary('remove a tag')
    .description('Remove one tag; what it stood for stays, under its digest and its other tags.')
    .argument('<ref>', 'host/repository:tag or oci-layout:DIR:tag')
    .action((ref: string, options: RemoteOptions) =>
      withReferences(context, options, async (open) => {
        const opened = await open(ref)
        requireVersion(opened, 'untag')
        const { target, reference: tag } = opened
        if (isDigest(tag)) throw noTag(ref)
        const found = await target.manifest(tag, context.signal)
        await target.deleteTag(tag, context.signal).catch(explainUnsupported(withoutTagDeletes))
        context.output.result(
          { repository: target.name, removed: tag, digest: found.digest },
          `removed the tag ${tag} in ${target.name}; ${found.digest} stays`,
        )
      }),
    )
  addExamples(addRemoteOptions(command), 'untag localhost:5000/policies:1.0.0')
}

const withoutTagDeletes =
  'Here a tag goes only with its manifest: `longshore delete` removes that, and every tag that stands for it.'

function noTag(ref: string): ConfigError {
  return new ConfigError(`untag takes a tag, and ${ref} is a digest`, {
    code: 'usage',
    hint: '`longshore delete` removes a manifest by its digest.',
  })
}
