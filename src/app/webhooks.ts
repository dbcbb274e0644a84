import type { BundleConfig, Config } from '../config/config.ts'
import { parseReference } from '../oci/reference.ts'
import type { Webhook } from '../webhooks/webhook.ts'
import { webhookTypes, type WebhookConfig } from '../webhooks/types.ts'

/** A webhook, and which of its bundles look when it says so. */
export interface LinkedWebhook {
  webhook: Webhook
  /** Those that follow one of these repositories; null: all. */
  bundlesOf(repositories: readonly string[] | null): string[]
}

export async function linkWebhooks({ webhooks, bundles }: Config): Promise<Map<string, LinkedWebhook>> {
  const linked = Object.entries(webhooks).map(async ([name, config]): Promise<[string, LinkedWebhook]> => {
    const mine = bundles.filter((bundle) => bundle.webhooks.includes(name))
    const webhook = await createWebhook(config)
    return [
      name,
      {
        webhook,
        bundlesOf: (repositories) =>
          mine.filter((bundle) => repositories === null || follows(bundle, repositories)).map((bundle) => bundle.name),
      },
    ]
  })
  return new Map(await Promise.all(linked))
}

/**
 * Hosts are not compared: a registry goes by several names, and does not know the one that we use. Before its path there may be more, where
 * another registry stands before it. What comes from elsewhere may have to do with anything.
 */
function follows({ store }: BundleConfig, repositories: readonly string[]): boolean {
  if (store.type !== 'oci') return true
  const { repository } = parseReference(store.repository)
  return repositories.some((name) => repository === name || repository.endsWith(`/${name}`))
}

/** The map gives the plugin that goes with the type, which the compiler cannot see. */
async function createWebhook(config: WebhookConfig): Promise<Webhook> {
  const plugin = await webhookTypes[config.type].load()
  return plugin.createWebhook(config as never)
}
