import { bundleProperties } from './server/bundles.ts'
import { registryProperties } from './server/registry.ts'
import { guardProperties } from './server/guard.ts'
import { webhookProperties } from './server/webhooks.ts'
import { watcherProperties } from './server/watcher.ts'
import type { Group } from './property.ts'

export const server: Group = {
  files: [
    'src/server/bundles/etag.ts',
    'src/server/bundles/path.ts',
    'src/server/bundles/prefer.ts',
    'src/server/guard/address.ts',
    'src/server/guard/credentials.ts',
    'src/server/guard/rights.ts',
    'src/server/v2/etag.ts',
    'src/server/v2/path.ts',
    'src/server/v2/range.ts',
    'src/server/watcher/path.ts',
    'src/webhooks/registry/notices.ts',
  ],
  properties: [
    ...bundleProperties,
    ...registryProperties,
    ...guardProperties,
    ...webhookProperties,
    ...watcherProperties,
  ],
}
