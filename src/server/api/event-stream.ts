import { Readable } from 'node:stream'
import { z } from 'zod'
import type { Clock } from '../../lib/clock.ts'
import type { Metrics } from '../../lib/metrics.ts'
import { everyBundle } from '../../model/decision.ts'
import type { Event } from '../../model/event.ts'
import type { EventFeed } from '../../state/feed.ts'
import type { Caller } from '../types.ts'
import { Refused, type Call, type Operation } from './operation.ts'

/** Streams of events at one time. */
export const maxEventStreams = 256
/** So that whoever stands between does not take it for dead. */
export const heartbeatMs = 15_000
/** Read from the state at one time, for each stream; the next ones when these were taken. */
const pageEvents = 100

const after = z.coerce.number().int().min(0)
const eventsQuery = z.object({ after: after.optional().describe('Those after this one; unset: those from now on') })

interface Parts {
  feed: EventFeed
  clock: Clock
  metrics: Pick<Metrics, 'limited'>
  /** Aborted when the server is about to stop. */
  draining: AbortSignal
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html */
export function eventStreamOperation({ feed, clock, metrics, draining }: Parts): Operation {
  let streams = 0
  return {
    method: 'GET',
    path: '/api/v1/events',
    summary:
      'What happens to all bundles that the caller may read, as server-sent events; goes on after `Last-Event-ID`',
    needs: { action: 'read', of: 'any' },
    query: eventsQuery,
    answers: {
      200: { description: 'text/event-stream: `id` is the event’s `seq`, `event` its type, `data` all of it' },
    },
    async handle(call) {
      const seq = await startOf(call, feed)
      if (streams >= maxEventStreams) {
        metrics.limited('event_streams')
        throw tooMany()
      }
      const { request, response, caller, signal } = call
      if (request.method === 'HEAD') return { body: '', type: 'text/event-stream' }
      streams++
      response.once('close', () => streams--)
      // Else nginx keeps it until a buffer is full.
      response.setHeader('X-Accel-Buffering', 'no')
      const stop = AbortSignal.any([signal, draining])
      return { body: Readable.from(streamEvents(feed, { caller, seq, clock, stop })), type: 'text/event-stream' }
    },
  }
}

/** What a client says that comes back goes before what its URL says. Of another state's events it has seen none. */
async function startOf({ request, query }: Call, feed: EventFeed): Promise<number> {
  const said = request.headers['last-event-id']
  const seq = said === undefined || said === '' ? eventsQuery.parse(query).after : after.safeParse(said).data
  if (seq === undefined && said !== undefined && said !== '') {
    throw new Refused({ status: 400, code: 'bad_request', message: 'Last-Event-ID is no number of an event' })
  }
  return Math.min(seq ?? Infinity, await feed.newest())
}

interface Stream {
  caller: Caller
  seq: number
  clock: Clock
  stop: AbortSignal
}

/** No faster than it is read: there is never more of it in memory than a page. */
async function* streamEvents(feed: EventFeed, { caller, seq: start, clock, stop }: Stream): AsyncGenerator<string> {
  let isNews = true
  let wake: () => void = () => undefined
  const hear = () => {
    isNews = true
    wake()
  }
  const unhear = feed.hear(hear)
  try {
    let seq = start
    // The head of the answer goes out with it.
    yield ':\n\n'
    while (!stop.aborted) {
      if (isNews) {
        isNews = false
        const events = await feed.after(seq, pageEvents)
        seq = events.at(-1)?.seq ?? seq
        isNews ||= events.length === pageEvents
        const text = events.filter((event) => mayRead(caller, event)).map(formatEvent)
        if (text.length > 0) yield text.join('')
        continue
      }
      const beats = await new Promise<boolean>((resolve) => {
        const cancel = clock.after(heartbeatMs, () => resolve(true))
        wake = () => {
          cancel()
          resolve(false)
        }
        stop.addEventListener('abort', wake, { once: true })
        if (stop.aborted) wake()
      })
      stop.removeEventListener('abort', wake)
      if (beats) yield ':\n\n'
    }
  } finally {
    unhear()
  }
}

function mayRead(caller: Caller, { bundle }: Event): boolean {
  return bundle === everyBundle ? caller.may('read') : caller.may('read', `bundles/${bundle}`)
}

/** JSON has no line breaks. */
function formatEvent(event: Event): string {
  return `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
}

function tooMany(): Refused {
  const message = `${maxEventStreams} streams of events are open: no more are served`
  return new Refused({ status: 503, code: 'too_many_streams', message, headers: { 'Retry-After': '10' } })
}
