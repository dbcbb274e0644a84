import { isProven } from '../proof.ts'
import type { Webhook } from '../webhook.ts'
import { readNotice } from './notices.ts'
import type { RegistryWebhookConfig } from './schema.ts'

export function createWebhook(config: RegistryWebhookConfig): Webhook {
  return {
    admits: (delivery) => isProven(config, delivery),
    read: async (delivery) => readNotice(delivery.headers, await delivery.body()),
  }
}
