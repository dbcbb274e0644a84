import { resolve } from 'node:path'
import { unpackArtifact } from '../artifact/unpack.ts'
import { IntegrityError } from '../lib/errors.ts'
import { parseManifest, selectPlatform } from '../oci/manifest.ts'
import type { RawManifest, Source } from '../oci/target.ts'
import type { AddCommand, CommandContext } from './command.ts'
import { counted } from './format.ts'
import { withReferences, type Opened } from './open-reference.ts'
import { addExamples, addRemoteOptions, type RemoteOptions } from './options.ts'

interface PullOptions extends RemoteOptions {
  output: string
  platform?: string
}

export const addPull: AddCommand = (program, context) => {
  const command = program
    .command('pull')
    .summary("write an artifact's files into a folder")
    .description(
      "Write an artifact's files into a folder and nothing outside of it, once all of them are fetched and checked.",
    )
    .argument('<ref>', 'host/repository:tag, host/repository@sha256:… or oci-layout:DIR:tag')
    .requiredOption('-o, --output <dir>', 'the folder; made where there is none')
    .option('--platform <os/arch>', 'which member of an index (else the one for this machine)')
    .action((ref: string, options: PullOptions) =>
      withReferences(context, options, async (open) => pull(context, await open(ref), options)),
    )
  addExamples(addRemoteOptions(command), 'pull ghcr.io/acme/policies:1.4.2 -o policy')
}

async function pull(context: CommandContext, opened: Opened, options: PullOptions): Promise<void> {
  const { output, cwd, signal } = context
  const { target, reference, full } = opened
  const platform = options.platform ?? platformOf(process.platform, process.arch)
  const raw = await imageOf(target, await target.manifest(reference, signal), platform, signal)
  const progress = output.progress(`pulling ${opened.text}`)
  let files: string[]
  try {
    const source = counting(target, raw, (done, total) => progress.update(done, total))
    files = await unpackArtifact(raw, source, resolve(cwd, options.output), { signal })
  } finally {
    progress.end()
  }
  const { digest } = raw
  output.result({ reference: full, digest, folder: options.output, files }, [
    `${options.output}: ${counted(files.length, 'file')}`,
    digest,
  ])
}

async function imageOf(source: Source, raw: RawManifest, platform: string, signal: AbortSignal): Promise<RawManifest> {
  const manifest = parseManifest(raw)
  if (manifest.kind === 'image') return raw
  const member = selectPlatform(manifest, platform)
  if (member !== undefined) return imageOf(source, await source.manifest(member.digest, signal), platform, signal)
  const offered = manifest.manifests.flatMap(({ platform: its }) => (its ? [`${its.os}/${its.architecture}`] : []))
  throw new IntegrityError('unsupported_artifact', `the index ${raw.digest} has no member for ${platform}`, {
    hint:
      offered.length === 0
        ? 'It names no platform.'
        : `Choose one with --platform: ${[...new Set(offered)].join(', ')}.`,
  })
}

/** In OCI's words. */
export function platformOf(os: string, architecture: string): string {
  const names: Record<string, string> = { x64: 'amd64', ia32: '386', win32: 'windows' }
  return `${names[os] ?? os}/${names[architecture] ?? architecture}`
}

function counting(
  source: Source,
  raw: RawManifest,
  onProgress: (done: number, total: number) => void,
): Pick<Source, 'blob'> {
  const manifest = parseManifest(raw)
  const total = manifest.kind === 'image' ? manifest.layers.reduce((sum, { size }) => sum + size, 0) : 0
  let done = 0
  return {
    async *blob(descriptor, signal) {
      for await (const chunk of source.blob(descriptor, signal)) {
        done += chunk.length
        onProgress(done, total)
        yield chunk
      }
    },
  }
}
