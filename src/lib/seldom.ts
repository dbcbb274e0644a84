import type { Clock } from './clock.ts'

const everyMs = 3_600_000
const maxKeys = 1_000

/** Says yes once an hour for each key: what fails at each request, or each look, is told again, but fills no log. */
export function createSeldom(clock: Pick<Clock, 'monotonic'>): (key: string) => boolean {
  const said = new Map<string, number>()
  return (key) => {
    const now = clock.monotonic()
    const last = said.get(key)
    if (last !== undefined && now - last < everyMs) return false
    said.delete(key)
    // The one that was said longest ago comes first.
    if (said.size >= maxKeys) said.delete(said.keys().next().value!)
    said.set(key, now)
    return true
  }
}
