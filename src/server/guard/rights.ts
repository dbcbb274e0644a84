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
  const parts = pattern.split('*').map((part) => RegExp.escape(part))
  const expression = new RegExp(`^${parts.join('[^]*')}$`)
  return (target) => expression.test(target)
}
