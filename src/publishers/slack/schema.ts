import { z } from 'zod'
import { timeoutSchema } from '../../clients/http/schema.ts'
import { secretSchema } from '../../lib/schema.ts'
import type { Secret } from '../../lib/secret.ts'
import { eventsSchema, parkAfterSchema } from '../schema.ts'

const urlError = 'expected a URL such as https://hooks.slack.com/services/…, or { file: path }'

export const slackPublisherSchema = z
  .strictObject({
    type: z.literal('slack').describe('A channel of Slack, or of what takes the same messages.'),
    url: secretSchema
      .refine((secret: Secret) => !secret.isKnown() || isWebhook(secret.current()), { error: urlError })
      .describe('Of an incoming webhook; whoever has it may write there.'),
    events: eventsSchema.prefault(['deployment.*', 'auto_deploy.changed']),
    park_after: parkAfterSchema,
    timeout: timeoutSchema.prefault('10s'),
  })
  .transform(({ timeout: timeoutMs, park_after: parkAfterMs, ...publisher }) => ({
    ...publisher,
    timeoutMs,
    parkAfterMs,
  }))

export type SlackPublisherConfig = z.output<typeof slackPublisherSchema>

export function isWebhook(text: string): boolean {
  return /^https?:$/.test(URL.parse(text)?.protocol ?? '')
}
