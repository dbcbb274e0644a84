import { storeFrom } from '../from-source.ts'
import type { Store, StoreContext } from '../store.ts'
import type { OciStoreConfig } from './schema.ts'

/** A repository of a registry. */
export function createStore({ repository, ...login }: OciStoreConfig, { registries, logger }: StoreContext): Store {
  const source = registries.repository(repository, login)
  return storeFrom({ name: repository, address: repository, open: () => Promise.resolve(source), logger })
}
