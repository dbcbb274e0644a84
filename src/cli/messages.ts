import { ConfigError } from '../lib/errors.ts'
import { counted } from '../lib/units.ts'
import type { Message } from '../model/message.ts'
import type { AddCommand } from './command.ts'
import { formatAge, oneLine } from './format.ts'
import { addExamples, addServerOptions, countOption, type ServerOptions } from './options.ts'
import type { Output } from './output.ts'
import { withServer } from './server.ts'

interface MessagesOptions extends ServerOptions {
  parked?: true
  publisher?: string
  bundle?: string
  limit: number
}

interface ResendOptions extends ServerOptions {
  all?: true
}

const defaultLimit = 50

export const addMessages: AddCommand = (program, context) => {
  const command = program
    .command('messages')
    .summary('what publishers are still to be told')
    .description(
      'What publishers are still to be told: what waits to be sent, and what could not be sent and is parked.',
    )
    .option('--parked', 'only what is parked')
    .option('--publisher <name>', 'only for this one')
    .option('--bundle <name>', 'only of this one')
    .option('--limit <count>', 'how many to show', countOption, defaultLimit)
    .action((options: MessagesOptions) =>
      withServer(context, options, async (server) => {
        const { parked, publisher, bundle, limit } = options
        const query = { publisher, bundle, limit, ...(parked === true && { state: 'parked' }) }
        const { messages, next } = await server.messages(query)
        const { output, clock } = context
        output.result({ messages, next }, describeMessages(messages, clock.now(), output))
        if (next !== null && !output.json) output.note('There are more: --limit shows them.')
      }),
    )
  addExamples(addServerOptions(command), 'messages', 'messages --parked --publisher events')
}

export const addResend: AddCommand = (program, context) => {
  const command = program
    .command('resend')
    .summary('send what is parked again')
    .description('Send what is parked again: one message, all for a publisher, or all.')
    .argument('[id]', 'PUBLISHER/NUMBER, as `messages` shows it, or a PUBLISHER')
    .option('--all', 'all that are parked')
    .action((id: string | undefined, options: ResendOptions) => {
      const which = readId(id, options)
      return withServer(context, options, async (server) => {
        const resent = await server.resend(which)
        context.output.result({ resent }, describeResent(resent.length, id))
      })
    })
  addExamples(addServerOptions(command), 'resend events/41', 'resend events', 'resend --all')
}

/** Nothing: what was named may be misspelt, or only wait, which is no reason to send it again. */
export function describeResent(count: number, id: string | undefined): string {
  if (count > 0) return `${counted(count, 'message')} will be sent again`
  return `nothing${id === undefined ? '' : ` of ${id}`} is parked; \`longshore messages\` shows what is there`
}

function readId(id: string | undefined, { all }: ResendOptions): { publisher: string | null; seq: number | null } {
  if ((id === undefined) !== (all === true)) throw wrong('name a message, a publisher, or --all')
  if (id === undefined) return { publisher: null, seq: null }
  const [publisher = '', number] = id.split('/')
  if (number === undefined) return { publisher, seq: null }
  const seq = Number(number)
  if (!Number.isSafeInteger(seq) || seq < 1) throw wrong(`${id} is no PUBLISHER/NUMBER`)
  return { publisher, seq }
}

function wrong(message: string): ConfigError {
  return new ConfigError(message, { code: 'usage', hint: '`longshore messages --parked` lists them.' })
}

export function describeMessages(messages: readonly Message[], now: number, output: Output): string[] {
  if (messages.length === 0) return ['nothing waits, nothing is parked']
  const rows = messages.map(({ publisher, event, state, attempts, queuedAt, lastError }) => [
    `${publisher}/${event.seq}`,
    event.bundle,
    event.type,
    state,
    formatAge(now - queuedAt),
    String(attempts),
    oneLine(lastError ?? '-', 60),
  ])
  return output.table([['ID', 'BUNDLE', 'EVENT', 'STATE', 'SINCE', 'TRIES', 'LAST ERROR'], ...rows])
}
