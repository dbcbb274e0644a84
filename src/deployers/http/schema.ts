import { z } from 'zod'
import {
  bothOrNeither,
  hasBothOrNeither,
  headerSchema,
  hmacSchema,
  timeoutSchema,
  tlsKeys,
} from '../../clients/http/schema.ts'
import { textOrSecretSchema } from '../../lib/schema.ts'
import { unknownWord } from '../../lib/template.ts'

const own = ['connection', 'content-length', 'expect', 'idempotency-key', 'keep-alive', 'transfer-encoding', 'upgrade']
const urlError = 'expected a URL such as https://host/path, with {…} only after the host, and without a login'
/** What is replaced in the URL and in a text. */
export const httpWords = ['bundle', 'place', 'release', 'repository', 'version', 'digest'] as const
const words = `Replaced in it: ${httpWords.map((word) => `{${word}}`).join(' ')}.`

const urlSchema = z
  .string({ error: urlError })
  .refine(isUsable, { error: urlError, abort: true })
  .superRefine((url, context) => {
    const message = unknownWord(url, httpWords)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  })

export const httpDeployerSchema = z
  .strictObject({
    type: z.literal('http').describe('A server that is told of each release, or sent it.'),
    url: urlSchema.describe(`Where to. ${words}`),
    method: z.enum(['POST', 'PUT', 'PATCH']).prefault('POST').describe('How.'),
    headers: z
      .record(
        headerSchema.refine((name) => !own.includes(name.toLowerCase()), { error: 'longshore sets this header' }),
        textOrSecretSchema,
      )
      .prefault({})
      .describe('More headers: text, `{ secret: text }` or `{ file: path }`.'),
    body: z
      .union([z.enum(['event', 'bundle']), z.strictObject({ text: z.string().describe(`The body. ${words}`) })], {
        error: 'expected event, bundle or { text: … }',
      })
      .prefault('event')
      .describe('`event`: JSON that says what there is; `bundle`: the bundle itself; or a text.'),
    hmac: hmacSchema,
    success: z
      .array(z.int().min(200).max(599))
      .min(1)
      .optional()
      .describe('Statuses that mean that it is done. Unless said: 200 to 299.'),
    give_up: z
      .array(z.int().min(300).max(599))
      .prefault([])
      .describe('Statuses that mean that sending the same release again would not help.'),
    timeout: timeoutSchema.prefault('1m'),
    ...tlsKeys,
  })
  .refine(hasBothOrNeither, bothOrNeither)
  .refine(({ success = [], give_up: giveUp }) => !giveUp.some((status) => success.includes(status)), {
    error: 'expected no status both in success and in give_up',
  })
  .transform(({ timeout: timeoutMs, give_up: giveUp, ...deployer }) => ({ ...deployer, timeoutMs, giveUp }))

export type HttpDeployerConfig = z.output<typeof httpDeployerSchema>

/** A login in it would be shown with it. */
function isUsable(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && /^https?:\/\/[^/?#{}\\]+(?:[/?]|$)/i.test(text) && url.username === '' && url.password === ''
}
