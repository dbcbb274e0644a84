import { z } from 'zod'
import { deployerSchema } from '../deployers/schemas.ts'
import { publisherSchema } from '../publishers/schemas.ts'
import { storeSchema } from '../stores/schemas.ts'
import { webhookSchema } from '../webhooks/schemas.ts'
import { bundleNameSchema, bundleSchema } from './schema/bundles.ts'
import { contentSchema } from './schema/content.ts'
import { registriesSchema } from './schema/registries.ts'
import { serverSchema } from './schema/server.ts'
import { stateSchema } from './schema/state.ts'

const nameSchema = z.string().regex(/^[a-z0-9]+(?:[._-][a-z0-9]+)*$/, {
  error: 'expected a name of lower-case letters and digits, with single ".", "_" or "-" between them',
})

const logSchema = z.strictObject({
  level: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .prefault('info')
    .describe('The least that is logged.'),
  format: z
    .enum(['auto', 'json', 'pretty'])
    .prefault('auto')
    .describe('`auto`: readable lines on a terminal, JSON elsewhere.'),
})

/** The config file as a user writes it. */
export const configSchema = z.strictObject({
  meta: z
    .record(z.string(), z.unknown())
    .optional()
    .describe('Values of your own, for `${meta.a.b}` anywhere in the file.'),
  server: serverSchema.prefault({}).describe('The HTTP server.'),
  log: logSchema.prefault({}).describe('What is logged, and how.'),
  content: contentSchema.prefault({}).describe('Blobs and layouts; the embedded state and its lock live there too.'),
  state: stateSchema.prefault({ type: 'sqlite' }).describe('Where everything but bytes is kept.'),
  registries: registriesSchema
    .prefault({})
    .describe('How to talk to registries, by host, host/path or "*". Else the docker config and its helpers.'),
  stores: z.record(nameSchema, storeSchema).prefault({}).describe('Stores that bundles share, by name.'),
  bundles: z.record(bundleNameSchema, bundleSchema).prefault({}).describe('What is served, by name.'),
  deployers: z.record(nameSchema, deployerSchema).prefault({}).describe('Places that releases are put to, by name.'),
  publishers: z.record(nameSchema, publisherSchema).prefault({}).describe('Who is told what happens, by name.'),
  webhooks: z.record(nameSchema, webhookSchema).prefault({}).describe('Who tells us that something changed, by name.'),
  opa: z
    .strictObject({
      path: z.string().min(1).optional().describe('An `opa` program that checks Rego before a release.'),
    })
    .prefault({})
    .describe('The OPA program.'),
  reconcile: z
    .strictObject({
      concurrency: z.int().min(1).max(64).prefault(4).describe('Looks under way at one time at each registry.'),
    })
    .prefault({})
    .describe('How bundles are kept up to date.'),
})

/** The same with every default filled in. */
export type CheckedConfig = z.output<typeof configSchema>

/** JSON Schema of the file, for editors and `config schema`; the same on each call. */
export function jsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(configSchema, { io: 'input' }) as Record<string, unknown>
  return { ...schema, title: 'longshore.yaml' }
}
