import { z } from 'zod'
import { durationSchema } from '../../lib/schema.ts'
import { scheduleSchema } from './schedule.ts'

const gcSchema = z.strictObject({
  schedule: scheduleSchema
    .prefault('1d')
    .describe('When: `1d` (±10 %), `{ min, max }`, a cron expression in local time, or `off` (only when asked).'),
  grace: durationSchema.prefault('1h').describe('What was pushed, fetched or asked for this recently stays.'),
})

export const contentSchema = z.strictObject({
  path: z.string().min(1).prefault('./data').describe('The folder of everything that is kept.'),
  gc: gcSchema.prefault({}).describe('Collection: what nobody needs is removed.'),
})
