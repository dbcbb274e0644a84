import { z } from 'zod'
import { ConfigError } from '../../lib/errors.ts'
import { parseSchedule, type Schedule } from '../../lib/schedule.ts'

const scheduleError =
  'expected a duration such as 60s, { min: 60s, max: 120s }, a cron expression such as "*/5 * * * *", or off'

export const scheduleSchema = z
  .union(
    [
      z.string(),
      z.strictObject({
        min: z.string({ error: 'expected a duration such as 60s' }).describe('The shortest time between two runs.'),
        max: z.string({ error: 'expected a duration such as 120s' }).describe('The longest time between two runs.'),
      }),
    ],
    { error: scheduleError },
  )
  .transform((written, context): Schedule => {
    try {
      return parseSchedule(written)
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      context.addIssue({ code: 'custom', message: error.message })
      return z.NEVER
    }
  })
