import { z } from 'zod'
import { genericWebhookSchema } from './generic/schema.ts'
import { registryWebhookSchema } from './registry/schema.ts'

/** A webhook as the config has it, whatever its kind. */
export const webhookSchema = z.discriminatedUnion('type', [registryWebhookSchema, genericWebhookSchema])

export type WebhookConfig = z.output<typeof webhookSchema>
