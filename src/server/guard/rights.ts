import { ConfigError } from '../../lib/errors.ts'
import type { Action, Caller } from '../types.ts'

const actions: readonly Action[] = ['read', 'push', 'delete', 'deploy', 'admin']

/**
 * Turns `allow` (`read`, `push:policies/*`) into the question that `Caller.may` answers. `*` stands for any run of
 * characters, `/` too. `admin` includes everything else under its pattern. ConfigError for a word that is no right.
 */
export function readRights(allow: readonly string[]): Caller['may'] {
  const rules = allow.map(readRule)
  return (action, target) =>
    rules.some(
      (rule) => (rule.action === action || rule.action === 'admin') && (target === undefined || rule.covers(target)),
    )
}

function readRule(text: string): { action: Action; covers: (target: string) => boolean } {
  const colon = text.indexOf(':')
  const action = actions.find((known) => known === (colon === -1 ? text : text.slice(0, colon)))
  const pattern = colon === -1 ? '*' : text.slice(colon + 1)
  if (action === undefined || pattern === '') {
    throw new ConfigError(`'${text}' is not a right`, {
      hint: `write one of ${actions.join(', ')}, with a name pattern after a colon if need be: push:policies/*`,
    })
  }
  if (pattern === '*') return { action, covers: () => true }
  if (!pattern.includes('*')) return { action, covers: (target) => target === pattern }
  const expression = new RegExp(
    `^${pattern
      .split('*')
      .map((part) => RegExp.escape(part))
      .join('[^]*')}$`,
  )
  return { action, covers: (target) => expression.test(target) }
}
