import { isCorrupt } from '../content/damage.ts'
import { RemoteError, StorageError } from '../lib/errors.ts'
import { childrenOf, parseManifest } from '../oci/manifest.ts'
import type { Release } from '../model/release.ts'
import type { LookContext } from './look.ts'
import { prepare, repositoryOf } from './prepare.ts'
import type { BundleSpec } from './types.ts'

/** Whether what is served is still there in full: something outside of longshore may have taken it, or the disk lost it. */
export async function isWhole(
  { bundle, bundleDigest, manifestDigest }: Release,
  { registry }: Pick<LookContext, 'registry'>,
): Promise<boolean> {
  if (bundleDigest === null) return true
  const repository = registry.repository(repositoryOf(bundle))
  try {
    const manifest = parseManifest(await repository.manifest(manifestDigest))
    for (const blob of childrenOf(manifest)) if (!(await repository.hasBlob(blob))) return false
    return true
  } catch (error) {
    if (isCorrupt(error) || (error instanceof RemoteError && error.code === 'not_found')) return false
    throw error
  }
}

/**
 * Brings the bytes of a release back, from where they came. Throws what keeps it from that; StorageError `corrupt` when the
 * same cannot be made of it any more.
 */
export async function mend(
  spec: BundleSpec,
  release: Release,
  context: LookContext,
  signal: AbortSignal,
): Promise<{ bytes: number }> {
  const { version, sourceDigest, manifestDigest, bundleDigest } = release
  const made = await prepare(spec, { version, fingerprint: sourceDigest }, context, signal)
  if (made.manifestDigest === manifestDigest && made.bundleDigest === bundleDigest) return { bytes: made.bytes }
  throw new StorageError(
    'corrupt',
    `the bytes of release ${release.number} are lost, and the same cannot be made again`,
  )
}
