import { EventEmitter } from 'node:events'
import { access, type Groups } from './operations/operation.ts'
import type { EventState, State } from './state.ts'

/** What happens, as it becomes durable. */
export interface EventFeed extends Pick<EventState, 'newest' | 'after'> {
  /** Called when there may be more. Returns how to hear no more of it. */
  hear(listener: () => void): () => void
}

/** Events are written in their transactions. */
const tellingGroups = [
  'bundles',
  'deployments',
  'decisions',
  'placements',
  'promotions',
] as const satisfies (keyof Groups)[]

/** The same state, and a feed of its events: whoever hears it is woken after each write that may have made one. */
export function feedOf<Whole extends Pick<State, (typeof tellingGroups)[number] | 'events'>>(
  state: Whole,
): { state: Whole; feed: EventFeed } {
  const ears = new EventEmitter<{ written: [] }>()
  ears.setMaxListeners(0)
  const parts = Object.fromEntries(tellingGroups.map((group) => [group, telling(state[group], access[group], ears)]))
  return {
    state: { ...state, ...parts },
    feed: {
      newest: () => state.events.newest(),
      after: (seq, limit) => state.events.after(seq, limit),
      hear(listener) {
        ears.on('written', listener)
        return () => void ears.off('written', listener)
      },
    },
  }
}

type Method = (...args: unknown[]) => Promise<unknown>

function telling(
  part: object,
  methods: Record<string, 'read' | 'write'>,
  ears: EventEmitter<{ written: [] }>,
): Record<string, Method> {
  const told = Object.entries(methods).map(([name, kind]): [string, Method] => {
    const method = (part as Record<string, Method>)[name]!
    if (kind === 'read') return [name, method]
    const tell = async (...args: unknown[]) => {
      const answer = await method(...args)
      ears.emit('written')
      return answer
    }
    return [name, tell]
  })
  return Object.fromEntries(told)
}
