import { resolve } from 'node:path'
import { openLayout } from '../../oci/layout.ts'
import { storeFrom } from '../from-source.ts'
import type { Store, StoreContext } from '../store.ts'
import type { OciLayoutStoreConfig } from './schema.ts'

/** An OCI image layout: a folder that some other program writes. */
export function createStore({ path }: OciLayoutStoreConfig, { logger }: StoreContext): Store {
  return storeFrom({ name: `oci-layout:${path}`, address: resolve(path), open: () => openLayout(path), logger })
}
