export type { WebhookConfig } from './schemas.ts'

/** The config's words for webhooks; their schemas stand in `schemas.ts`. */
export const webhookTypes = {
  registry: { load: () => import('./registry/index.ts') },
  generic: { load: () => import('./generic/index.ts') },
}
