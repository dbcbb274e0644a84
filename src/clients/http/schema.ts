import { z } from 'zod'
import { durationSchema, secretSchema } from '../../lib/schema.ts'

/** Words of the config that are the same wherever something is sent to a server. */

/** https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2 */
export const headerSchema = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, { error: 'expected the name of a header' })

export const hmacSchema = z
  .strictObject({
    secret: secretSchema.describe('Known to both sides.'),
    header: headerSchema.prefault('X-Longshore-Signature').describe('Holds `sha256=` and the signature in hex.'),
  })
  .optional()
  .describe('Signs the body with HMAC-SHA256.')

export const timeoutSchema = durationSchema.describe('How long all of it may take.')

export const tlsKeys = {
  ca: z.string().min(1).optional().describe('PEM file of authorities, besides those of the system.'),
  cert: z.string().min(1).optional().describe('PEM file of our own certificate.'),
  key: z.string().min(1).optional().describe('PEM file of its key.'),
}

export const bothOrNeither = { error: 'expected both cert and key, or neither' }

export function hasBothOrNeither({ cert, key }: { cert?: string | undefined; key?: string | undefined }): boolean {
  return (cert === undefined) === (key === undefined)
}
