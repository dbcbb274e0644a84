import { z } from 'zod'
import { isRepositoryName } from '../../oci/reference.ts'

export const localStoreSchema = z.strictObject({
  type: z.literal('local').describe('A repository of the built-in registry; each push to it is taken up at once.'),
  repository: z
    .string()
    .refine(isRepositoryName, {
      error: 'expected a repository name such as policies/authz, in lower case, without host and tag',
    })
    .describe('The repository, such as `policies/authz`.'),
})

export type LocalStoreConfig = z.output<typeof localStoreSchema>
