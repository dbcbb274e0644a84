export type { PublisherConfig } from './schemas.ts'

/** The config's words for publishers; their schemas stand in `schemas.ts`. `paths`: keys that are paths, relative to the config file. */
export const publisherTypes = {
  http: { paths: ['ca', 'cert', 'key'], load: () => import('./http/index.ts') },
  slack: { paths: [], load: () => import('./slack/index.ts') },
}
