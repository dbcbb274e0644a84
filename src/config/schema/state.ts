import { z } from 'zod'
import { parsePostgresUrl } from '../../lib/postgres-url.ts'
import { durationSchema, secretSchema } from '../../lib/schema.ts'

const tlsSchema = z
  .strictObject({
    ca: z.string().min(1).optional().describe('PEM file of the authorities that its certificate may come from.'),
    cert: z.string().min(1).optional().describe('PEM file of our client certificate, together with `key`.'),
    key: z.string().min(1).optional().describe('PEM file of its key.'),
  })
  .refine(({ cert, key }) => (cert === undefined) === (key === undefined), {
    error: 'expected both cert and key, or neither',
  })

const leaseSchema = z
  .strictObject({
    duration: durationSchema
      .prefault('6s')
      .describe('An instance that does not renew its lease for so long is gone: another one takes over.'),
    renew: durationSchema.prefault('2s').describe('How often the one that acts renews it.'),
    poll: durationSchema.prefault('1s').describe('How often one that stands by asks for it.'),
  })
  .refine(({ duration, renew }) => duration >= 2 * renew, {
    error: 'expected at least twice as long as `renew`: one that is late is not gone',
    path: ['duration'],
  })

const sqliteSchema = z.strictObject({
  type: z.literal('sqlite').prefault('sqlite').describe('Embedded, in the content folder.'),
})

/** One that stands in a file is looked at when that is read. */
const urlSchema = secretSchema.superRefine((url, context) => {
  if (!url.isKnown()) return
  try {
    parsePostgresUrl(url.current())
  } catch (error) {
    context.addIssue({ code: 'custom', message: `expected the address of a database: ${(error as Error).message}` })
  }
})

const postgresSchema = z.strictObject({
  type: z.literal('postgres').describe('In a Postgres: then a second instance can stand by.'),
  url: urlSchema.describe('`postgres://USER@HOST:5432/DATABASE`, with `?sslmode=…` as elsewhere.'),
  password: secretSchema.optional().describe('Goes before one in `url`.'),
  tls: tlsSchema.optional().describe('Speaks TLS, and looks at the certificate.'),
  connections: z.int().min(1).max(100).prefault(4).describe('At most, beside one for the lease.'),
  connect_timeout: durationSchema.prefault('5s').describe('For making a connection.'),
  statement_timeout: durationSchema.prefault('30s').describe('For one statement.'),
  reconnect_timeout: durationSchema
    .prefault('10s')
    .describe('How long what is asked waits for a database that cannot be reached, before it fails.'),
  lease: leaseSchema.prefault({}).describe('Which of several instances acts.'),
})

export const stateSchema = z.discriminatedUnion('type', [sqliteSchema, postgresSchema], {
  error: 'expected sqlite or postgres',
})
