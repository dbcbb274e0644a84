import { z } from 'zod'
import { bundleStoreSchema } from './bundle/schema.ts'
import { localStoreSchema } from './local/schema.ts'
import { ociLayoutStoreSchema } from './oci-layout/schema.ts'
import { ociStoreSchema } from './oci/schema.ts'

/** A store as the config has it, whatever its kind. */
export const storeSchema = z.discriminatedUnion('type', [
  ociStoreSchema,
  ociLayoutStoreSchema,
  localStoreSchema,
  bundleStoreSchema,
])

export type StoreConfig = z.output<typeof storeSchema>
