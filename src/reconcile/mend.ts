import { StorageError } from '../lib/errors.ts'
import type { Release } from '../model/release.ts'
import type { LookContext } from './look.ts'
import { prepare, repositoryOf } from './prepare.ts'
import type { BundleSpec } from './types.ts'

/** Whether what is served is still there in full: something outside of longshore may have taken it, or the disk lost it. */
export async function isWhole(
  { bundle, bundleDigest, manifestDigest }: Release,
  { registry }: Pick<LookContext, 'registry'>,
): Promise<boolean> {
  return bundleDigest === null || registry.repository(repositoryOf(bundle)).isWhole(manifestDigest)
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
