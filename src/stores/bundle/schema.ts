import { z } from 'zod'
import { durationSchema } from '../../lib/schema.ts'

export const bundleStoreSchema = z
  .strictObject({
    type: z.literal('bundle').describe('Another bundle: what was deployed of it is promoted.'),
    from: z.string().min(1).describe('The other bundle.'),
    place: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Where its release has to be deployed: a `to` of its `deploy`. Unset: it is enough that it is current.',
      ),
    delay: durationSchema.optional().describe('For how long it has to be there. Unset: it goes on at once.'),
    approval: z.boolean().prefault(false).describe('Whether a person has to agree: `longshore approve`.'),
  })
  .transform(({ place = null, delay = 0, ...store }) => ({ ...store, place, delayMs: delay }))

export type BundleStoreConfig = z.output<typeof bundleStoreSchema>
