import { RemoteError } from '../../lib/errors.ts'
import { describeWaiting, type Promotion } from '../../model/promotion.ts'
import { storeFrom } from '../from-source.ts'
import type { Store, StoreContext } from '../store.ts'
import type { BundleStoreConfig } from './schema.ts'

/**
 * What was deployed of another bundle, for long enough, and agreed to where that is asked for. It goes on as it is served there, or, if
 * nothing of that is pulled, as it is where that comes from: with its manifest and its signatures, and not a byte is copied.
 */
export function createStore(
  { from, place, delayMs, approval }: BundleStoreConfig,
  { local, origin, promotion, logger }: StoreContext,
): Store {
  const name = place === null ? `bundle:${from}` : `bundle:${from} at ${place}`
  const source = local(`bundles/${from}`)
  const store = storeFrom({
    name,
    address: origin?.address ?? `bundle:${from}@${place ?? ''}`,
    open: () => origin?.open() ?? Promise.resolve(source),
    logger,
  })
  const promoter = promotion({ from, place, delayMs, approval })
  return {
    ...store,
    promoter,
    async resolve(exact, signal) {
      signal.throwIfAborted()
      // A version that a person names goes before the terms.
      if (!('tag' in exact) || exact.tag !== 'latest') return store.resolve(exact, signal)
      const promoted = await promoter.promoted()
      if (promoted === undefined) throw nothingYet(promoter.last!)
      const { release, ...word } = promoted
      return { version: release.version, fingerprint: release.manifestDigest, ...word }
    },
  }
}

function nothingYet({ from, place, waiting }: Promotion): RemoteError {
  const showTime = (at: number) => `until ${new Date(at).toISOString()}`
  const why = waiting === null ? 'it has no release' : describeWaiting(waiting, place, showTime)
  return new RemoteError('not_found', `nothing of ${from} was promoted yet: ${why}`, { host: `bundle:${from}` })
}
