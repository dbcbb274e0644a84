import { z } from 'zod'
import { bothOrNeither, hasBothOrNeither, hmacSchema, timeoutSchema, tlsKeys } from '../../clients/http/schema.ts'
import { secretSchema } from '../../lib/schema.ts'
import { eventsSchema, parkAfterSchema } from '../schema.ts'

const urlError = 'expected a URL such as https://host/path, without a login'

export const httpPublisherSchema = z
  .strictObject({
    type: z.literal('http').describe('A server that takes CloudEvents.'),
    url: z.string({ error: urlError }).refine(isUsable, { error: urlError }).describe('Where to.'),
    events: eventsSchema.prefault(['*']),
    park_after: parkAfterSchema,
    token: secretSchema.optional().describe('Sent as a bearer token.'),
    hmac: hmacSchema,
    timeout: timeoutSchema.prefault('10s'),
    ...tlsKeys,
  })
  .refine(hasBothOrNeither, bothOrNeither)
  .transform(({ timeout: timeoutMs, park_after: parkAfterMs, ...publisher }) => ({
    ...publisher,
    timeoutMs,
    parkAfterMs,
  }))

export type HttpPublisherConfig = z.output<typeof httpPublisherSchema>

/** A login in it would be shown with it. */
function isUsable(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
}
