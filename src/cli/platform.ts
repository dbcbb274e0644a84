import { IntegrityError } from '../lib/errors.ts'
import { parseManifest, selectPlatform } from '../oci/manifest.ts'
import type { RawManifest, Source } from '../oci/target.ts'

/** The manifest itself, or the member of an index for the platform. */
export async function imageOf(
  source: Source,
  raw: RawManifest,
  platform: string,
  signal: AbortSignal,
): Promise<RawManifest> {
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
