import { z } from 'zod'
import { compileGlob } from '../lib/glob.ts'
import { durationSchema } from '../lib/schema.ts'
import { eventTypes } from '../model/event.ts'

const eventError = `expected the name of an event, or a pattern such as deployment.*: ${eventTypes.join(', ')}`

const patternSchema = z
  .string({ error: eventError })
  .refine((pattern) => eventTypes.some((type) => compileGlob(pattern).test(type)), { error: eventError })

// Keys that every publisher has.

export const eventsSchema = z
  .array(patternSchema)
  .min(1)
  .describe('What it is told of: names of events; `*` stands for any characters.')

export const parkAfterSchema = durationSchema
  .prefault('1d')
  .describe('What could not be sent for this long is parked: later events pass, a person may have it sent again.')
