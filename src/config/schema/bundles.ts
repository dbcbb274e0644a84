import { z } from 'zod'
import { durationSchema, sizeSchema } from '../../lib/schema.ts'
import { isRepositoryName } from '../../oci/reference.ts'
import { storeSchema } from '../../stores/schemas.ts'
import { followSchema } from './follow.ts'
import { scheduleSchema } from './schedule.ts'

const aliasError = 'expected a URL path such as /service/v1/authz/bundle.tar.gz'

/** Ends of a bundle's name that would make it another bundle's route. */
const routeWords = [
  'releases',
  'rebuild',
  'look',
  'pin',
  'unpin',
  'approve',
  'deployments',
  'explain',
  'auto-deploy',
  'rollback',
  'deploy',
  'hold',
  'resume',
  'reset',
]

/** `bundles/NAME` must still be a repository that clients accept. */
const maxNameLength = 200

export const bundleNameSchema = z
  .string()
  .refine((name) => isRepositoryName(name) && name.length <= maxNameLength, {
    error:
      'expected a name of lower-case letters and digits, with single ".", "_" or "-" between them, and "/" between its parts',
    abort: true,
  })
  .refine((name) => !routeWords.includes(name.split('/').at(-1)!) && !name.endsWith('.tar.gz'), {
    error: `a bundle's name cannot end in a word that is a route: ${routeWords.join(', ')}, .tar.gz`,
  })

const autoDeploySchema = z.boolean({ error: 'expected true or false' }).prefault(true)

const retrySchema = z.strictObject({
  max_attempts: z.int().min(1).optional().describe('Unset: until it succeeds or a newer release replaces it.'),
  max_interval: durationSchema.prefault('10m').describe('The longest wait between two attempts.'),
})

const deploySchema = z.strictObject({
  to: z.string().min(1).describe('A key of `deployers`.'),
  form: z
    .enum(['served', 'source', 'layers', 'unpacked', 'tarball'])
    .optional()
    .describe(
      'To a registry `served` (the default): what clients get here, or `source`: what the store offered, where that was repacked. To a directory `layers`, `unpacked` or `tarball`, as there.',
    ),
  path: z
    .string()
    .min(1)
    .regex(/^[^\0]*$/, { error: 'expected a path' })
    .optional()
    .describe('Where in a directory: absolute, or relative to its `root`, which is the default.'),
  auto_deploy: autoDeploySchema.describe('Whether new releases go to this place by themselves.'),
  drift: z
    .enum(['restore', 'report'], { error: 'expected restore or report' })
    .prefault('restore')
    .describe('What comes of it when somebody else changed what was put there: it is put there again, or only said.'),
  retry: retrySchema.prefault({}).describe('How often a deployment that failed is tried again.'),
})

const limitsSchema = z.strictObject({
  max_entries: z.int().min(1).prefault(100_000).describe('Files in an archive.'),
  max_unpacked: sizeSchema.prefault('1GiB').describe('Bytes after decompression.'),
  max_ratio: z.number().min(1).prefault(200).describe('Unpacked bytes for each packed one.'),
  max_file: sizeSchema.prefault('256MiB').describe('Bytes of one file.'),
})

export const bundleSchema = z.strictObject({
  kind: z.enum(['opa', 'files']).prefault('opa').describe('`opa`: checked as OPA would; `files`: any files.'),
  store: z
    .union([z.string().min(1), storeSchema], { error: 'expected a name from `stores`, or a store spelled out' })
    .describe('Where it comes from: a key of `stores`, or a store spelled out.'),
  follow: followSchema
    .prefault('latest')
    .describe('Which version counts: a tag, a digest `sha256:…`, a range `{ semver }`, or `{ pattern, order }`.'),
  allow_downgrade: z
    .boolean()
    .prefault(false)
    .describe(
      'Whether an older version is taken where the one that ran is gone. Only where a range or a pattern is followed.',
    ),
  platform: z
    .string()
    .regex(/^[a-z0-9]+\/[a-z0-9_]+(?:\/[a-z0-9]+)?$/, { error: 'expected os/architecture such as linux/amd64' })
    .prefault('linux/amd64')
    .describe('Which member counts where the followed tag is an index.'),
  pull: z
    .boolean({ error: 'expected true or false' })
    .prefault(true)
    .describe('`false`: only watched, by its tags and digests; nothing is fetched, kept or served of it.'),
  schedule: scheduleSchema
    .prefault({ min: '60s', max: '120s' })
    .describe('When to look: `{ min, max }`, `60s` (±10 %), a cron expression in local time, or `off` (looks once).'),
  deploy: z.array(deploySchema).prefault([]).describe('Where each release is put.'),
  auto_deploy: autoDeploySchema.describe(
    'Whether new releases go to the places by themselves; what is served is not touched by it.',
  ),
  webhooks: z
    .array(z.string().min(1))
    .prefault([])
    .describe('Who tells us that there may be something new: keys of `webhooks`.'),
  publish: z.array(z.string().min(1)).prefault([]).describe('Who is told what happens to it: keys of `publishers`.'),
  keep: z.int().min(1).max(1000).prefault(10).describe('Releases whose bytes are kept.'),
  aliases: z
    .array(z.string({ error: aliasError }).regex(/^(?:\/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+$/, { error: aliasError }))
    .prefault([])
    .describe('Exact URL paths that clients already ask for.'),
  limits: limitsSchema.prefault({}).describe('What an archive may hold.'),
})
