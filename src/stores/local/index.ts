import { storeFrom } from '../from-source.ts'
import type { Store, StoreContext } from '../store.ts'
import type { LocalStoreConfig } from './schema.ts'

/** A repository of the built-in registry: a push to it is taken up at once, and no byte is copied. */
export function createStore({ repository }: LocalStoreConfig, { local, logger }: StoreContext): Store {
  const source = local(repository)
  return storeFrom({
    name: `local:${repository}`,
    address: `local:${repository}`,
    watches: repository,
    open: () => Promise.resolve(source),
    logger,
  })
}
