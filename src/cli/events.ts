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
    .option('--limit <count>', 'how many to show', countOption, defaultLimit)
    .option('--place <place>', 'only what happened at this place')
    .option('--log', 'with what each attempt to deploy did', false)
    .action((name: string, options: EventsOptions) =>
      withServer(context, options, async (server) => {
        const { limit, place, log } = options
        const events = await server.events(name, limit, place)
        const { output, clock } = context
        const lines = events.length === 0 ? noneOf(name, place) : describeEvents(events, clock.now(), log)
        output.result({ bundle: name, events }, lines)
      }),
    )
  addExamples(addServerOptions(command), 'events authz', 'events authz --place prod --log')
}

/** What was named may be misspelt. */
export function noneOf(name: string, place: string | undefined): string {
  if (place === undefined) return `nothing has happened to ${name} yet`
  return `nothing has happened to ${name} at ${place}; \`longshore status --json\` has the names of its places`
}

export function describeEvents(events: readonly Event[], now: number, withLogs: boolean): string[] {
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
