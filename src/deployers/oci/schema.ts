import { z } from 'zod'
import { secretSchema } from '../../lib/schema.ts'
import { ociRepositorySchema } from '../../oci/repository-schema.ts'
import { isForAll, tagWords, whyNoTag } from './tags.ts'

const shown = tagWords.map((word) => `{${word}}`).join(' ')

const tagSchema = z.string().superRefine((template, context) => {
  const message = whyNoTag(template)
  if (message !== undefined) context.addIssue({ code: 'custom', message })
})

export const ociDeployerSchema = z
  .strictObject({
    type: z.literal('oci').describe('A repository of a registry.'),
    repository: ociRepositorySchema.describe('The repository, such as `registry.prod/policies/authz`, without a tag.'),
    tags: z
      .array(tagSchema)
      .refine((tags) => tags.some(isForAll), {
        error: 'expected at least one tag that every release has, such as latest or {version}',
      })
      .prefault(['latest', '{version}'])
      .describe(`Tags that each release gets. Replaced in them: ${shown}.`),
    prune: z
      .boolean()
      .prefault(false)
      .describe('Whether the tags of a bundle go when it, or its `deploy` entry, leaves the config.'),
    username: z.string().min(1).optional().describe('Goes before what `registries` and the docker config say.'),
    password: secretSchema.optional().describe('The password for `username`.'),
    plain_http: z.boolean().optional().describe('Plain HTTP instead of HTTPS. Unset: only for this machine.'),
    referrers: z.boolean().prefault(true).describe('Take signatures and other referrers along.'),
  })
  .refine((deployer) => (deployer.username === undefined) === (deployer.password === undefined), {
    error: 'expected both username and password, or neither',
  })
  .transform(({ plain_http, ...deployer }) => ({ ...deployer, plainHttp: plain_http }))

export type OciDeployerConfig = z.output<typeof ociDeployerSchema>
