import { z } from 'zod'
import { hasOneProof, oneProof, signatureSchema, tokenSchema, urlTokenSchema } from '../proof.ts'

export const registryWebhookSchema = z
  .strictObject({
    type: z
      .literal('registry')
      .describe('A registry that tells of pushes: distribution, Docker Hub, Harbor, Quay, GHCR, zot.'),
    token: tokenSchema,
    hmac: signatureSchema,
    url_token: urlTokenSchema,
  })
  .refine(hasOneProof, oneProof)

export type RegistryWebhookConfig = z.output<typeof registryWebhookSchema>
