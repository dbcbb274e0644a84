import type { z } from 'zod'
import { configSchema, type CheckedConfig } from './schema.ts'

type Issue = Pick<z.core.$ZodIssue, 'path' | 'code'> & { keys?: string[] }

/** How much goes with one wrong value: a key of a bundle, a whole store, a key of the server. */
const depths = new Map([
  ['bundles', 3],
  ['stores', 2],
  ['deployers', 2],
  ['publishers', 2],
  ['webhooks', 2],
  ['registries', 2],
  ['server', 2],
])

/** What of the file is right by itself, so that one wrong value does not keep the others from being checked together. */
export function checkRest(value: unknown, issues: readonly Issue[]): CheckedConfig {
  const most = without(value, issues, (section) => depths.get(section) ?? 1)
  const result = configSchema.safeParse(most)
  if (result.success) return result.data
  // What is left of a bundle, a store, a registry may not stand alone: it lost its store, its user.
  return configSchema.parse(without(most, result.error.issues, () => 2))
}

function without(value: unknown, issues: readonly Issue[], depthOf: (section: string) => number): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {}
  const copy = structuredClone(value)
  for (const { path, keys } of issues) {
    const paths = keys === undefined ? [path] : keys.map((key) => [...path, key])
    for (const full of paths) remove(copy, full.slice(0, depthOf(String(full[0]))))
  }
  return copy
}

function remove(value: object, path: readonly PropertyKey[]): void {
  const around = path.slice(0, -1)
  const parent = around.reduce<unknown>((part, key) => (part as Record<PropertyKey, unknown> | undefined)?.[key], value)
  // Of a parent that is gone already it makes an empty one.
  Reflect.deleteProperty(Object(parent) as object, path.at(-1)!)
}
