import { ConfigError, IntegrityError } from '../lib/errors.ts'
import { parseManifest } from '../oci/manifest.ts'
import type { Descriptor } from '../oci/target.ts'
import type { Deploy } from './deployer.ts'

/** The layer that is the bundle as clients get it. */
export async function servedLayer({ release, source }: Deploy, signal: AbortSignal): Promise<Descriptor> {
  const { bundle, bundleDigest, manifestDigest } = release
  if (bundleDigest === null) {
    throw new ConfigError(`nothing of ${bundle} is kept whose bytes could be put anywhere`, {
      hint: 'Let the bundle be pulled: pull: true.',
    })
  }
  const manifest = parseManifest(await source.manifest(manifestDigest, signal))
  const layers = manifest.kind === 'image' ? manifest.layers : []
  const layer = layers.find(({ digest }) => digest === bundleDigest)
  if (layer !== undefined) return layer
  throw new IntegrityError('bad_manifest', `${manifestDigest} does not name the layer ${bundleDigest}`)
}
