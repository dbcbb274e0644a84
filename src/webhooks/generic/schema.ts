import { z } from 'zod'
import { hasOneProof, signatureSchema, tokenSchema } from '../proof.ts'

export const genericWebhookSchema = z
  .strictObject({
    type: z.literal('generic').describe('Anybody who knows that something changed: each request looks.'),
    token: tokenSchema,
    hmac: signatureSchema,
  })
  .refine(hasOneProof, { error: 'expected either token or hmac' })

export type GenericWebhookConfig = z.output<typeof genericWebhookSchema>
