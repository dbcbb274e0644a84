import { describe } from 'vitest'
import { expectedPath, isThere, type ComponentName } from '../../scripts/components/list.ts'

export type { ComponentName }

/** Path of the component's binary. Throws with the command that brings it. */
export function component(name: ComponentName): string {
  if (!isThere(name)) throw new Error(missingLine([name]))
  return expectedPath(name)
}

export function hasComponent(name: ComponentName): boolean {
  return isThere(name)
}

/**
 * `needs('oras', 'distribution')('pushes', () => …)` is `describe` where all of them are there. Elsewhere it skips and
 * says in one line how to bring them; in CI that is a failure.
 */
export function needs(...names: ComponentName[]): typeof describe | typeof describe.skip {
  const missing = names.filter((name) => !isThere(name))
  if (missing.length === 0) return describe
  if (process.env.CI === 'true') throw new Error(missingLine(missing))
  process.stderr.write(`skipped: ${missingLine(missing)}\n`)
  return describe.skip
}

function missingLine(names: ComponentName[]): string {
  return `missing ${names.join(', ')}: bring with \`node scripts/components.ts ${names.join(' ')}\``
}
