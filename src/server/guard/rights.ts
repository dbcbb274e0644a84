import type { Action, Caller } from '../types.ts'

/** One right: `push:policies/*` is the action `push` on names that match. */
export interface Grant {
  action: Action
  /** A name in which `*` stands for any characters, `/` too; null for every name, and for the server as a whole. */
  pattern: string | null
}

/** Answers what `Caller.may` asks. `admin` includes everything else under its pattern. */
export function readRights(grants: readonly Grant[]): Caller['may'] {
  const rules = grants.map(({ action, pattern }) => ({ action, covers: coverage(pattern) }))
  return (action, target) =>
    rules.some(
      (rule) => (rule.action === action || rule.action === 'admin') && (target === undefined || rule.covers(target)),
    )
}

function coverage(pattern: string | null): (target: string) => boolean {
  if (pattern === null || pattern === '*') return () => true
  const [start = '', ...rest] = pattern.split('*')
  const end = rest.pop()
  if (end === undefined) return (target) => target === pattern
  return (target) => {
    const limit = target.length - end.length
    if (limit < start.length || !target.startsWith(start) || !target.endsWith(end)) return false
    // The first place for each part is the best one. A regular expression would try them all, together.
    let at = start.length
    for (const part of rest) {
      const found = target.indexOf(part, at)
      if (found === -1) return false
      at = found + part.length
    }
    return at <= limit
  }
}
