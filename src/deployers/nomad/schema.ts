import { z } from 'zod'
import { durationSchema, secretSchema } from '../../lib/schema.ts'
import { unknownWord } from '../../lib/template.ts'

export const words = ['repository', 'version', 'digest', 'bundle', 'place', 'release'] as const
const shown = words.map((word) => `{${word}}`).join(' ')

/** An attempt as a whole is ended after 15 min, and then Nomad's words would be lost. */
const longestMs = 14 * 60_000
const addressError = 'expected a URL such as https://nomad.example.com:4646, without a login'
const pathError = 'expected a path in the task, such as config.image, env.VERSION or meta.version'
const nameSchema = z.string().min(1, { error: 'expected a name' })

const templateSchema = z.string().superRefine((template, context) => {
  const message = unknownWord(template, words)
  if (message !== undefined) context.addIssue({ code: 'custom', message })
})

export const nomadDeployerSchema = z
  .strictObject({
    type: z.literal('nomad').describe('A task of a job of Nomad.'),
    job: nameSchema.describe('The job, which has to be there.'),
    task: nameSchema.describe('The task that gets the new version; nothing else of the job is changed.'),
    group: nameSchema.optional().describe('The group of the task, where several have one of that name.'),
    set: z
      .record(z.string().regex(/^[A-Za-z]\w*(?:\.[^.]+)+$/, { error: pathError }), templateSchema)
      .refine((set) => Object.keys(set).length > 0, { error: 'expected at least one path and its value' })
      .prefault({ 'config.image': '{repository}:{version}@{digest}' })
      .describe(
        `What is set in the task, by path: \`config.image\`, \`env.VERSION\`, \`meta.x\`. Replaced in it: ${shown}.`,
      ),
    address: z
      .string({ error: addressError })
      .refine(isUsable, { error: addressError })
      .prefault('http://127.0.0.1:4646')
      .describe('Where Nomad is. Unless said: NOMAD_ADDR, else http://127.0.0.1:4646.'),
    token: secretSchema.optional().describe('A token of ACLs. Unless said: NOMAD_TOKEN.'),
    vault_token: secretSchema
      .optional()
      .describe('For jobs that need it, before Nomad 1.10. Unless said: VAULT_TOKEN.'),
    namespace: nameSchema.optional().describe("The job's namespace. Unless said: NOMAD_NAMESPACE, else `default`."),
    region: nameSchema
      .optional()
      .describe("The job's region. Unless said: NOMAD_REGION, else the one of the agent that is asked."),
    ca: z
      .string()
      .min(1)
      .optional()
      .describe('PEM file of authorities, besides those of the system. Unless said: NOMAD_CACERT.'),
    cert: z.string().min(1).optional().describe('PEM file of our own certificate. Unless said: NOMAD_CLIENT_CERT.'),
    key: z.string().min(1).optional().describe('PEM file of its key. Unless said: NOMAD_CLIENT_KEY.'),
    server_name: nameSchema
      .optional()
      .describe(
        'The name that its certificate is for, such as server.global.nomad. Unless said: NOMAD_TLS_SERVER_NAME.',
      ),
    timeout: durationSchema
      .refine((ms) => ms <= longestMs, { error: 'expected at most 14m' })
      .prefault('12m')
      .describe("How long the job's own deployment may take."),
  })
  .refine(({ cert, key }) => (cert === undefined) === (key === undefined), {
    error: 'expected both cert and key, or neither',
  })
  .transform(({ vault_token: vaultToken, server_name: serverName, timeout: timeoutMs, ...deployer }) => {
    return { ...deployer, vaultToken, serverName, timeoutMs }
  })

export type NomadDeployerConfig = z.output<typeof nomadDeployerSchema>

function isUsable(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) return false
  return url.username === '' && url.password === '' && url.search === '' && url.hash === ''
}
