import { createRequire } from 'node:module'

/** A package, loaded with its first use: a daemon that needs none of it should not hold it in memory, nor start later for it. */
export function loadPackage(name: string): unknown {
  return createRequire(import.meta.url)(name)
}
