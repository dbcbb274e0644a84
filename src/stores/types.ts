import { z } from 'zod'
import { localStoreSchema } from './local/schema.ts'
import { ociLayoutStoreSchema } from './oci-layout/schema.ts'
import { ociStoreSchema } from './oci/schema.ts'

/** The config's words for stores. `paths`: keys that are paths, relative to the config file. */
export const storeTypes = {
  oci: { schema: ociStoreSchema, paths: [], load: () => import('./oci/index.ts') },
  'oci-layout': { schema: ociLayoutStoreSchema, paths: ['path'], load: () => import('./oci-layout/index.ts') },
  local: { schema: localStoreSchema, paths: [], load: () => import('./local/index.ts') },
}

export const storeSchema = z.discriminatedUnion('type', [ociStoreSchema, ociLayoutStoreSchema, localStoreSchema])

export type StoreConfig = z.output<typeof storeSchema>
