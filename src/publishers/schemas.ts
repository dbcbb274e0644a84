import { z } from 'zod'
import { httpPublisherSchema } from './http/schema.ts'
import { slackPublisherSchema } from './slack/schema.ts'

/** A publisher as the config has it, whatever its kind. */
export const publisherSchema = z.discriminatedUnion('type', [httpPublisherSchema, slackPublisherSchema])

export type PublisherConfig = z.output<typeof publisherSchema>
