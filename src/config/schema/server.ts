import { z } from 'zod'
import { maxManifestBytes } from '../../oci/manifest.ts'
import { durationSchema, secretSchema, sizeSchema } from '../../lib/schema.ts'

export const listenError = 'expected host:port such as 127.0.0.1:8085, 0.0.0.0:8085 or [::1]:8085'
const publicUrlError = 'expected a URL such as https://policy.example.com, without a path'
const grantError = 'expected read, push, delete, deploy or admin, each optionally for a name pattern: push:policies/*'

const listenSchema = z
  .string({ error: listenError })
  .refine((text) => parseListen(text) !== undefined, { error: listenError })
  .transform((text) => parseListen(text)!)

const publicUrlSchema = z
  .string({ error: publicUrlError })
  .refine(isOrigin, { error: publicUrlError })
  .transform((text) => new URL(text).origin)

type Action = 'read' | 'push' | 'delete' | 'deploy' | 'admin'

const grantSchema = z
  .string({ error: grantError })
  .regex(/^(?:read|push|delete|deploy|admin)(?::[^\s:]+)?$/, { error: grantError })
  .transform((text) => {
    const [action, pattern = null] = text.split(':') as [Action, string | undefined]
    return { action, pattern }
  })

const allowSchema = z
  .array(grantSchema)
  .min(1, { error: grantError })
  .describe(
    'What is allowed: `read`, `push`, `delete`, `deploy`, `admin`; `push:policies/*` only for names that match.',
  )

const callerNameSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@-]*$/, {
  error: 'expected a name of letters, digits, ".", "_", "@" and "-"',
})

const accessSchema = z.strictObject({
  anonymous: z
    .literal('read', { error: 'expected read, or nothing' })
    .optional()
    .describe('`read`: everybody may read. Absent: nobody without credentials.'),
  tokens: z
    .record(
      callerNameSchema,
      z.strictObject({ token: secretSchema.describe('The token itself, or `{ file: path }`.'), allow: allowSchema }),
    )
    .prefault({})
    .describe('Bearer tokens by a name that the log shows.'),
  users: z
    .record(
      callerNameSchema,
      z.strictObject({
        password_hash: secretSchema.describe(
          'bcrypt, as `htpasswd -nB NAME` writes it behind the colon, or `{ file: path }`.',
        ),
        allow: allowSchema,
      }),
    )
    .prefault({})
    .describe('Users with a password, by name.'),
})

const tlsSchema = z.strictObject({
  cert: z.string().min(1).describe('PEM file of the certificate and its chain. Read again when it changes.'),
  key: z.string().min(1).describe('PEM file of its key.'),
  client_ca: z.string().min(1).optional().describe('PEM file: clients must show a certificate that it signed.'),
})

const limitsSchema = z.strictObject({
  wait_max: durationSchema
    .prefault('55s')
    .describe('The longest that a long poll is held, whatever the client asks for.'),
  max_manifest: sizeSchema
    .refine((bytes) => bytes <= maxManifestBytes, { error: 'expected at most 4MiB, which is what clients take' })
    .prefault('4MiB')
    .describe('The largest manifest that may be pushed.'),
  max_blob: sizeSchema.prefault('2GiB').describe('The largest blob that may be pushed.'),
  bundle_memory: sizeSchema
    .prefault('256MiB')
    .describe('Bundles up to this total are served from memory, others from disk.'),
  upload_expiry: durationSchema.prefault('1h').describe('An upload that nobody touches for this long is dropped.'),
  max_uploads: z.int().min(1).prefault(100).describe('Uploads open at one time.'),
  max_downloads: z
    .int()
    .min(1)
    .prefault(512)
    .describe('Answers read from disk at one time; three quarters of them for one address. The others wait.'),
  max_waiting: z.int().min(1).prefault(15_000).describe('Long polls held at one time. Beyond it 503.'),
  max_connections: z.int().min(1).prefault(16_000).describe('Connections at one time. Others are closed at once.'),
  max_connections_per_source: z
    .int()
    .min(1)
    .optional()
    .describe('Of them, from one address. Absent: three quarters, so that nobody alone can take them all.'),
  headers_timeout: durationSchema
    .prefault('15s')
    .describe('How long a client may take for a TLS handshake, and for the head of a request.'),
  idle_timeout: durationSchema.prefault('10s').describe('How long a connection stays open between two requests.'),
  stall_timeout: durationSchema
    .prefault('2m')
    .describe('A request or answer on which nothing moves for this long is cut.'),
  min_rate: sizeSchema
    .prefault('1KiB')
    .describe('Nor may less than this move in a second, on average over `stall_timeout`.'),
})

export const serverSchema = z.strictObject({
  listen: listenSchema.prefault('127.0.0.1:8085').describe('Where to listen, host:port. Port 0 is any free one.'),
  public_url: publicUrlSchema.optional().describe('How clients reach this server, where that is not `listen`.'),
  cors_origins: z
    .array(publicUrlSchema)
    .prefault([])
    .describe(
      'Pages of these origins may use the routes of the registry watcher, such as `https://watcher.example.com`.',
    ),
  tls: tlsSchema.optional().describe('Serve HTTPS.'),
  access: accessSchema
    .optional()
    .describe('Who may do what. Absent: this machine may do everything, others nothing without the generated token.'),
  limits: limitsSchema.prefault({}).describe('Ceilings.'),
  shutdown_timeout: durationSchema.prefault('10s').describe('How long a stop waits for what is under way.'),
  ready_timeout: durationSchema
    .prefault('60s')
    .describe('After this long a bundle without a release no longer keeps the server from being ready.'),
})

/** `host:port`, an IPv6 host in brackets; undefined when it is none. */
export function parseListen(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]\s/]+)):(\d{1,5})$/i.exec(text)
  const port = Number(match?.[3])
  const host = match?.[1] ?? match?.[2]
  return host === undefined || port > 65_535 ? undefined : { host, port }
}

function isOrigin(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && [url.origin, `${url.origin}/`].includes(text.toLowerCase())
}
