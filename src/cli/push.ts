import { packPush, type Push } from '../artifact/push.ts'
import { ConfigError, RemoteError } from '../lib/errors.ts'
import { counted, formatSize } from '../lib/units.ts'
import { copy, type CopyResult } from '../oci/copy.ts'
import type { Descriptor, Source } from '../oci/target.ts'
import type { AddCommand, CommandContext } from './command.ts'
import { withReferences, type Opened } from './open-reference.ts'
import { addExamples, addRemoteOptions, type RemoteOptions } from './options.ts'

export const addPush: AddCommand = (program, context) => {
  const command = program
    .command('push')
    .summary('push a bundle, or files, to a registry or a layout')
    .description(
      'Push a bundle (a folder or a .tar.gz) as OPA, oras, conftest and policy read it; other files as titled layers.',
    )
    .usage('[options] <path...> <ref>')
    .argument(
      '<path...>',
      'a folder, a bundle.tar.gz, or files; last where to: host/repository:tag or oci-layout:DIR:tag',
    )
    .action((words: string[], options: RemoteOptions) => push(context, words, options))
  addExamples(
    addRemoteOptions(command),
    'push policy/ ghcr.io/acme/policies:1.4.2',
    'push bundle.tar.gz localhost:8085/policies/authz:latest',
  )
}

async function push(context: CommandContext, words: string[], options: RemoteOptions): Promise<void> {
  const { output, cwd, signal } = context
  const [paths, text] = [words.slice(0, -1), words.at(-1)!]
  if (paths.length === 0) {
    throw new ConfigError(`push needs something to push and a reference, and got only ${text}`, {
      code: 'usage',
      hint: 'Write it as: longshore push PATH… REF',
    })
  }
  await withReferences(context, options, async (open) => {
    const to = await open(text, { create: true })
    const packed = await packPush(paths, { cwd, signal })
    try {
      checkDigest(packed, to)
      for (const warning of packed.warnings) output.warn(warning)
      const result = await send(context, packed, to)
      const { kind, warnings, manifest } = packed
      output.result({ reference: to.full, kind, digest: manifest.digest, ...countsOf(result), warnings }, [
        to.full,
        `${manifest.digest}  ${describeWork(packed, result)}`,
      ])
    } finally {
      await packed.close()
    }
  })
}

async function send({ output, signal }: CommandContext, packed: Push, to: Opened): Promise<CopyResult> {
  const progress = output.progress(`pushing ${to.text}`)
  try {
    return await copy(sourceOf(packed), packed.manifest.digest, to.target, {
      tags: to.tag === undefined ? [] : [to.tag],
      onProgress: ({ bytes, totalBytes }) => progress.update(bytes, totalBytes),
      signal,
    })
  } finally {
    progress.end()
  }
}

/** What was packed, as a repository that holds nothing else. */
function sourceOf({ manifest, blobs }: Push): Source {
  const { mediaType, digest, bytes } = manifest
  const missing = (what: string) => new RemoteError('not_found', `nothing was packed as ${what}`, { host: 'here' })
  const open = ({ digest: wanted }: Descriptor) => {
    const found = blobs.find(({ descriptor }) => descriptor.digest === wanted)
    if (found === undefined) throw missing(wanted)
    return found.open()
  }
  return {
    name: 'what was packed',
    head: async () => ({ mediaType, digest, size: bytes.length }),
    manifest: async () => manifest,
    blob: open,
    rawBlob: open,
    // eslint-disable-next-line @typescript-eslint/no-empty-function
    async *tags() {},
    referrers: async () => [],
  }
}

function checkDigest({ manifest }: Push, { digest, text }: Opened): void {
  if (digest === undefined || digest === manifest.digest) return
  throw new ConfigError(`what would be pushed is ${manifest.digest}, so it cannot become ${text}`, {
    code: 'usage',
    hint: 'Name a tag, or leave the digest out.',
  })
}

function countsOf({ blobsCopied, bytes, skipped }: CopyResult) {
  return { blobsCopied, bytes, skipped }
}

function describeWork({ kind, blobs }: Push, { blobsCopied, bytes }: CopyResult): string {
  const what = kind === 'bundle' ? 'bundle' : counted(blobs.length, 'blob')
  return `${what}, ${blobsCopied === 0 ? 'all of it there already' : `${formatSize(bytes)} sent`}`
}
