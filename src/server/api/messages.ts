import { z } from 'zod'
import type { Logger } from '../../lib/logger.ts'
import { everyBundle } from '../../model/decision.ts'
import type { Message, MessageKey } from '../../model/message.ts'
import type { Caller, Control } from '../types.ts'
import { Refused, type Operation } from './operation.ts'

const key = z.string().regex(/^[^/]+\/\d{1,15}$/, { error: 'expected PUBLISHER/NUMBER' })
const listQuery = z.object({
  publisher: z.string().optional().describe('Only for this one'),
  bundle: z.string().optional().describe('Only of this one; `*`: what is about all of them'),
  state: z.enum(['waiting', 'parked']).optional(),
  after: key.optional().describe('Goes on after this one: `next` of the page before'),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
})
const resendBody = z
  .strictObject({
    publisher: z.string().min(1).nullable().default(null).describe('Only those for this one; for all unless said'),
    seq: z.int().min(1).nullable().default(null).describe('Only the one with this number'),
  })
  .refine(({ publisher, seq }) => publisher !== null || seq === null, { error: 'a number needs its publisher' })
const pageMessages = 500

interface Parts {
  control: Pick<Control, 'messages'>
  logger: Logger
}

/** What publishers are still to be told, and what they could not be. */
export function messageOperations({ control, logger }: Parts): Operation[] {
  const { messages } = control
  return [
    {
      method: 'GET',
      path: '/api/v1/messages',
      summary: 'What publishers are still to be told: it waits, or it could not be sent for too long and is parked',
      needs: { action: 'read', of: 'any' },
      query: listQuery,
      answers: {
        200: { description: 'Of the bundles that the caller may read, by publisher and number', schema: 'Messages' },
      },
      async handle({ caller, query }) {
        const { publisher = null, bundle = null, state = null, after, limit } = listQuery.parse(query)
        demandPublisher(messages, publisher)
        const page = { after: after === undefined ? null : parseKey(after), limit }
        const found = await messages.list({ publisher, bundle, state }, page)
        const last = found.length === limit ? found.at(-1)! : undefined
        const next = last === undefined ? null : `${last.publisher}/${last.event.seq}`
        return { body: { messages: found.filter((message) => may(caller, 'read', message)), next } }
      },
    },
    {
      method: 'POST',
      path: '/api/v1/messages/resend',
      summary: 'Send what is parked again: one message, all for a publisher, or all',
      needs: { action: 'deploy', of: 'any' },
      body: resendBody,
      answers: { 200: { description: 'Which, of the bundles that the caller may deploy', schema: 'Resent' } },
      async handle({ caller, body, requestId }) {
        const { publisher, seq } = resendBody.parse(body)
        demandPublisher(messages, publisher)
        const resent: MessageKey[] = []
        for await (const parked of parkedFor(messages, publisher, seq)) {
          const keys = parked.filter((message) => may(caller, 'deploy', message)).map(keyOf)
          resent.push(...(await messages.resend(keys)))
        }
        const count = resent.length
        const who = caller.name
        logger.info({ audit: true, who, action: 'resend', requestId, publisher, seq, count }, `resend by ${who}`)
        return { body: { resent } }
      },
    },
  ]
}

/** Throws Refused where nobody has that name: nothing waits for a publisher that left the config. */
function demandPublisher(messages: Control['messages'], name: string | null): void {
  const names = messages.publishers()
  if (name === null || names.includes(name)) return
  const message = `there is no publisher ${name.slice(0, 200)}`
  const hint = names.length === 0 ? 'The config has no `publishers`.' : `There is ${names.join(', ')}.`
  throw new Refused({ status: 404, code: 'unknown_publisher', message, hint })
}

/** In pages. */
async function* parkedFor(
  messages: Control['messages'],
  publisher: string | null,
  seq: number | null,
): AsyncIterable<Message[]> {
  const filter = { publisher, bundle: null, state: 'parked' as const }
  if (publisher !== null && seq !== null) {
    yield (await messages.list(filter, { after: { publisher, seq: seq - 1 }, limit: 1 })).filter(
      ({ event }) => event.seq === seq,
    )
    return
  }
  let after: MessageKey | null = null
  for (;;) {
    const page: Message[] = await messages.list(filter, { after, limit: pageMessages })
    yield page
    if (page.length < pageMessages) return
    after = keyOf(page.at(-1)!)
  }
}

/** What is about all bundles is for those who may read any, and for those who may deploy all. */
function may(caller: Caller, action: 'read' | 'deploy', { event: { bundle } }: Message): boolean {
  if (bundle !== everyBundle) return caller.may(action, `bundles/${bundle}`)
  return action === 'read' ? caller.may('read') : caller.may('deploy', '')
}

function keyOf({ publisher, event: { seq } }: Message): MessageKey {
  return { publisher, seq }
}

function parseKey(text: string): MessageKey {
  const [publisher = '', seq] = text.split('/')
  return { publisher, seq: Number(seq) }
}
