import { z } from 'zod'
import { secretSchema } from '../../lib/schema.ts'
import { ociRepositorySchema } from '../../oci/repository-schema.ts'

export const ociStoreSchema = z
  .strictObject({
    type: z.literal('oci').describe('A repository of a registry.'),
    repository: ociRepositorySchema.describe('The repository, such as `ghcr.io/acme/policies`, without a tag.'),
    username: z.string().min(1).optional().describe('Goes before what `registries` and the docker config say.'),
    password: secretSchema.optional().describe('The password for `username`.'),
    plain_http: z.boolean().optional().describe('Plain HTTP instead of HTTPS. Unset: only for this machine.'),
  })
  .refine((store) => (store.username === undefined) === (store.password === undefined), {
    error: 'expected both username and password, or neither',
  })
  .transform(({ plain_http, ...store }) => ({ ...store, plainHttp: plain_http }))

export type OciStoreConfig = z.output<typeof ociStoreSchema>
