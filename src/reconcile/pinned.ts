import type { Pin, PinTo } from '../model/decision.ts'
import type { Release } from '../model/release.ts'
import type { Registry } from '../registry/types.ts'
import type { State } from '../state/state.ts'
import type { Store } from '../stores/store.ts'
import { repositoryOf } from './prepare.ts'
import type { BundleSpec } from './types.ts'

interface Parts {
  state: Pick<State, 'bundles'>
  registry: Registry
}

/** What a bundle follows while it is pinned; as it is where no pin is. */
export async function pinned(spec: BundleSpec, pin: Pin | null, parts: Parts): Promise<BundleSpec> {
  if (pin === null) return spec
  const { to } = pin
  if (!('release' in to)) return { ...spec, follow: to }
  const release = await parts.state.bundles.release(spec.name, to.release)
  if (release === undefined) return spec
  return { ...spec, follow: { digest: release.sourceDigest }, store: frozen(spec.store, release, parts.registry) }
}

/** A digest that a release has or had, served or as a manifest, is that release; so its version is known, and its bytes may be here. */
export async function asRelease(bundle: string, to: PinTo, { state }: Pick<Parts, 'state'>): Promise<PinTo> {
  if (!('digest' in to)) return to
  const release = await state.bundles.releaseByDigest(bundle, to.digest)
  return release === undefined ? to : { release: release.number }
}

/** Offers one release, whatever else there is: from what is kept here, so that the store need not have it any more, else from the store. */
function frozen(store: Store, { bundle, version, sourceDigest: fingerprint }: Release, registry: Registry): Store {
  return {
    ...{ name: store.name, address: store.address, ...(store.watches !== undefined && { watches: store.watches }) },
    open: () => store.open(),
    resolve: () => Promise.resolve({ version, fingerprint }),
    versions: (signal) => store.versions(signal),
    createdAt: (candidate, options) => store.createdAt(candidate, options),
    async fetch(candidate, into, options) {
      const kept = await registry.repository(repositoryOf(bundle)).head(fingerprint, options.signal)
      return kept === undefined ? store.fetch(candidate, into, options) : { manifest: kept, bytes: 0 }
    },
  }
}
