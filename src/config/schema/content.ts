import { z } from 'zod'
import { durationSchema, sizeSchema } from '../../lib/schema.ts'
import { scheduleSchema } from './schedule.ts'

const gcSchema = z.strictObject({
  schedule: scheduleSchema
    .prefault('1d')
    .describe('When: `1d` (±10 %), `{ min, max }`, a cron expression in local time, or `off` (only when asked).'),
  grace: durationSchema.prefault('1h').describe('What was pushed, fetched or asked for this recently stays.'),
  untagged: durationSchema
    .optional()
    .describe(
      'How long a manifest stays where it was pushed to once no tag and no kept release needs it. Absent: for ever.',
    ),
})

const patternSchema = z.string().regex(/^[a-z0-9*][a-z0-9._/*-]*$/, {
  error: 'expected the name of a repository, or a pattern such as policies/*',
})

export const contentSchema = z.strictObject({
  path: z.string().min(1).prefault('./data').describe('The folder of everything that is kept.'),
  quota: sizeSchema.optional().describe('What all blobs and uploads may take together. Absent: whatever the disk has.'),
  repository_quotas: z
    .record(patternSchema, sizeSchema)
    .prefault({})
    .describe('What each repository may hold, by its name or a pattern; the longest pattern that matches counts.'),
  gc: gcSchema.prefault({}).describe('Collection: what nobody needs is removed.'),
})
