import { z } from 'zod'
import { bundleStoreSchema } from './bundle/schema.ts'
import { localStoreSchema } from './local/schema.ts'
import { ociLayoutStoreSchema } from './oci-layout/schema.ts'
import { ociStoreSchema } from './oci/schema.ts'

/** The config's words for stores. `paths`: keys that are paths, relative to the config file. */
export const storeTypes = {
  oci: { schema: ociStoreSchema, paths: [], load: () => import('./oci/index.ts') },
  'oci-layout': { schema: ociLayoutStoreSchema, paths: ['path'], load: () => import('./oci-layout/index.ts') },
  local: { schema: localStoreSchema, paths: [], load: () => import('./local/index.ts') },
  bundle: { schema: bundleStoreSchema, paths: [], load: () => import('./bundle/index.ts') },
}

export const storeSchema = z.discriminatedUnion('type', [
  ociStoreSchema,
  ociLayoutStoreSchema,
  localStoreSchema,
  bundleStoreSchema,
])

export type StoreConfig = z.output<typeof storeSchema>
