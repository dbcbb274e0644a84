import { deployerTypes } from '../deployers/types.ts'

type Mapping = Record<string, unknown>

/**
 * What deployers take from the environment where the file does not say it; keys that go together come together or not at all. Changes
 * `value`, which is the loader's own copy. Returns what was put in: a value by its variable's name.
 */
export function fillFromEnvironment(
  value: unknown,
  variable: (name: string) => string | undefined,
): Map<string, string> {
  const used = new Map<string, string>()
  for (const deployer of Object.values(mapping(mapping(value).deployers)).map(mapping)) {
    for (const group of groupsOf(deployer)) {
      const found = Object.entries(group).map(([key, name]) => ({ key, name, text: variable(name) ?? '' }))
      if (found.some(({ key, text }) => Object.hasOwn(deployer, key) || text === '')) continue
      for (const { key, name, text } of found) {
        deployer[key] = text
        used.set(name, text)
      }
    }
  }
  return used
}

function groupsOf({ type }: Mapping): readonly Record<string, string>[] {
  const types: Record<string, { environment: readonly Record<string, string>[] }> = deployerTypes
  return typeof type === 'string' && Object.hasOwn(types, type) ? types[type]!.environment : []
}

function mapping(value: unknown): Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Mapping) : {}
}
