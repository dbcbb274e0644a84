import { z } from 'zod'
import { genericWebhookSchema } from './generic/schema.ts'
import { registryWebhookSchema } from './registry/schema.ts'

/** The config's words for webhooks. */
export const webhookTypes = {
  registry: { schema: registryWebhookSchema, load: () => import('./registry/index.ts') },
  generic: { schema: genericWebhookSchema, load: () => import('./generic/index.ts') },
}

export const webhookSchema = z.discriminatedUnion('type', [registryWebhookSchema, genericWebhookSchema])

export type WebhookConfig = z.output<typeof webhookSchema>
