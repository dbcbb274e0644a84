import { ConfigError } from '../../lib/errors.ts'
import type { Task } from './types.ts'

type Mapping = Record<string, unknown>

/** What is at `env.A` (Env's `A`), `meta.a.b` (Meta's `a.b`), `config.args.0`: in `config` as the driver knows it, a number leads into a list. */
export function read(task: Task, path: string): unknown {
  const place = placeOf(task, path, false)
  return place && (place.holder as Mapping)[place.key]
}

/** Throws ConfigError where nothing is that could be set. */
export function write(task: Task, path: string, value: string): void {
  const place = placeOf(task, path, true)
  if (place === undefined) {
    throw new ConfigError(`the task ${task.Name} has nothing at ${path} that could be set`, {
      hint: 'What is in `env`, `meta` and `config` may be new; elsewhere it has to be there, written as in Nomad’s JSON.',
    })
  }
  ;(place.holder as Mapping)[place.key] = value
}

function placeOf(task: Task, path: string, isForWriting: boolean): { holder: object; key: string } | undefined {
  const [first = '', ...rest] = path.split('.')
  const section = Object.keys(task).find((key) => key.toLowerCase() === first.toLowerCase())
  if (section === undefined) return undefined
  const isFlat = section === 'Env' || section === 'Meta'
  const mayGrow = isForWriting && (isFlat || section === 'Config')
  const keys = [section, ...(isFlat ? [rest.join('.')] : rest)]
  const key = keys.pop()!
  let holder: object | undefined = task
  for (const next of keys) holder = holder && descend(holder, next, mayGrow)
  if (holder === undefined || isBeyond(holder, key)) return undefined
  return mayGrow || Object.hasOwn(holder, key) ? { holder, key } : undefined
}

function descend(holder: object, key: string, mayGrow: boolean): object | undefined {
  if (isBeyond(holder, key)) return undefined
  const inner = (holder as Mapping)[key] ?? (mayGrow ? {} : undefined)
  if (typeof inner !== 'object' || inner === null) return undefined
  if (mayGrow) (holder as Mapping)[key] = inner
  return inner
}

/** A list has what it has. */
function isBeyond(holder: object, key: string): boolean {
  return Array.isArray(holder) && !(Number(key) < holder.length)
}
