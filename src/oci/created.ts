import { IntegrityError } from '../lib/errors.ts'
import { parseJsonObject } from './json.ts'
import { parseManifest, selectPlatform, type ImageManifest, type IndexManifest } from './manifest.ts'
import type { Source } from './target.ts'

/** https://github.com/opencontainers/image-spec/blob/main/annotations.md */
const createdAnnotation = 'org.opencontainers.image.created'
/** A config has a line for each layer, not more. */
const maxConfigBytes = 1024 ** 2

interface Options {
  /** Which member of an index is asked, where that says nothing itself. */
  platform: string
  signal?: AbortSignal
}

/**
 * When an artifact was made, by its manifest's annotation or else its config, in milliseconds since the epoch; undefined where
 * neither says so, or what they say cannot be read.
 */
export async function createdOf(source: Source, reference: string, options: Options): Promise<number | undefined> {
  try {
    const manifest = parseManifest(await source.manifest(reference, options.signal))
    const at = timeOf(manifest.annotations?.[createdAnnotation])
    if (at !== undefined) return at
    const member = manifest.kind === 'image' ? manifest : await memberOf(source, manifest, options)
    return (
      timeOf(member?.annotations?.[createdAnnotation]) ?? (member && (await createdByConfig(source, member, options)))
    )
  } catch (error) {
    // Wrong content says nothing; that it is wrong is said when it is fetched.
    if (error instanceof IntegrityError) return undefined
    throw error
  }
}

async function memberOf(source: Source, index: IndexManifest, options: Options): Promise<ImageManifest | undefined> {
  const descriptor = selectPlatform(index, options.platform)
  if (descriptor === undefined) return undefined
  const manifest = parseManifest(await source.manifest(descriptor.digest, options.signal))
  return manifest.kind === 'image' ? manifest : undefined
}

/** https://github.com/opencontainers/image-spec/blob/main/config.md */
async function createdByConfig(
  source: Source,
  { config }: ImageManifest,
  { signal }: Options,
): Promise<number | undefined> {
  const isJson = /[/+]json$/.test(config.mediaType)
  if (!isJson || config.size > maxConfigBytes) return undefined
  const bytes = Buffer.concat(await Array.fromAsync(source.blob(config, signal)))
  return timeOf(parseJsonObject(bytes, 'the config').created)
}

/** Go's tools write the year 1 where they were not told. */
function timeOf(text: unknown): number | undefined {
  if (typeof text !== 'string' || text.startsWith('0001-')) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : at
}
