import type { Event } from '../model/event.ts'
import type { AddCommand } from './command.ts'
import { formatAge, oneLine } from './format.ts'
import { addExamples, addServerOptions, countOption, type ServerOptions } from './options.ts'
import { withServer } from './server.ts'

interface EventsOptions extends ServerOptions {
  limit: number
  place?: string
  log: boolean
}

const defaultLimit = 20

export const addEvents: AddCommand = (program, context) => {
  const command = program
    .command('events')
    .summary('what happened to a bundle, and who decided what')
    .description('What happened to a bundle and what persons decided, newest first; with the logs of its deployments.')
    .argument('<name>', 'the bundle')
    .option('--limit <count>', 'how many to ask for', countOption, defaultLimit)
    .option('--place <place>', 'only of deployments to this place')
    .option('--log', 'with what each attempt to deploy did', false)
    .action((name: string, options: EventsOptions) =>
      withServer(context, options, async (server) => {
        const all = await server.events(name, options.limit)
        const events = all.filter(({ place }) => options.place === undefined || place === options.place)
        const { output, clock } = context
        const lines = describeEvents(name, events, clock.now(), options.log)
        output.result({ bundle: name, events }, events.length < 1 && all.length > 0 ? noneOf(name, options) : lines)
      }),
    )
  addExamples(addServerOptions(command), 'events authz', 'events authz --place prod --log')
}

/** Only so many were asked for: an older one may be of that place. */
export function noneOf(name: string, { limit, place }: { limit: number; place?: string }): string[] {
  return [`none of the newest ${limit} events of ${name} is about ${place}: see its name, or ask for more by --limit`]
}

export function describeEvents(name: string, events: readonly Event[], now: number, withLogs: boolean): string[] {
  if (events.length === 0) return [`nothing has happened to ${name} yet`]
  return events.flatMap((event) => [describeEvent(event, now), ...(withLogs ? logOf(event) : [])])
}

/** `3m ago  deployment.failed at prod: release 4, attempt 2: connection refused`. */
function describeEvent({ at, type, place, by, data }: Event, now: number): string {
  const { release, version, attempt, on, error, reason } = data
  const about = [
    typeof release === 'number' ? `release ${release}` : '',
    typeof version === 'string' ? version : '',
    typeof attempt === 'number' ? `attempt ${attempt}` : '',
    typeof on === 'boolean' ? (on ? 'on' : 'off') : '',
    by === null ? '' : `by ${by}`,
  ].filter((part) => part !== '')
  const why = [error, reason].find((text): text is string => typeof text === 'string' && text !== '')
  const where = place === null ? '' : ` at ${place}`
  const what = about.length === 0 ? '' : `: ${about.join(', ')}`
  return oneLine(`${formatAge(now - at)} ago  ${type}${where}${what}${why === undefined ? '' : `: ${why}`}`)
}

function logOf({ data: { log } }: Event): string[] {
  return Array.isArray(log) ? log.map((line) => `    ${oneLine(String(line))}`) : []
}
