import { z } from 'zod'

export const ociLayoutStoreSchema = z.strictObject({
  type: z.literal('oci-layout').describe('An OCI image layout: a folder, as `oras copy --to-oci-layout` writes it.'),
  path: z.string().min(1).describe('The folder.'),
})

export type OciLayoutStoreConfig = z.output<typeof ociLayoutStoreSchema>
