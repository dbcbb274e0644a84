import type { Release } from '../model/release.ts'
import type { Source } from '../oci/target.ts'
import type { Registry } from '../registry/types.ts'
import type { Store } from '../stores/store.ts'
import { repositoryOf } from './prepare.ts'

/** Where a bundle comes from. */
export type Origin = Pick<Store, 'address' | 'open'>

/** Where the bytes of a release are: here, or, where nothing of it was pulled, where it came from. */
export async function sourceOf(
  { bundle, bundleDigest }: Release,
  origin: Origin,
  { registry }: { registry: Registry },
): Promise<Source> {
  return bundleDigest === null ? origin.open() : registry.repository(repositoryOf(bundle))
}
