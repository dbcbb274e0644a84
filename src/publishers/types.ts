import { z } from 'zod'
import { tlsPaths } from '../clients/http/schema.ts'
import { httpPublisherSchema } from './http/schema.ts'
import { slackPublisherSchema } from './slack/schema.ts'

/** The config's words for publishers. `paths`: keys that are paths, relative to the config file. */
export const publisherTypes = {
  http: { schema: httpPublisherSchema, paths: tlsPaths, load: () => import('./http/index.ts') },
  slack: { schema: slackPublisherSchema, paths: [], load: () => import('./slack/index.ts') },
}

export const publisherSchema = z.discriminatedUnion('type', [httpPublisherSchema, slackPublisherSchema])

export type PublisherConfig = z.output<typeof publisherSchema>
