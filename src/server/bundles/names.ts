import { readBundlePath } from './path.ts'

/** Which bundle a URL path stands for (without query, as it came): by its name or as an alias. */
export interface BundleNames {
  configure(bundles: readonly { name: string; aliases: readonly string[] }[]): void
  at(path: string): string | undefined
  isAlias(path: string): boolean
}

/** Clients ask for few paths, again and again. */
const maxKnownPaths = 1_000

export function createBundleNames(): BundleNames {
  let names: ReadonlySet<string> = new Set()
  let aliases: ReadonlyMap<string, string> = new Map()
  /** What was found for a path, until the config changes. */
  const known = new Map<string, string>()

  function find(path: string): string | undefined {
    const alias = aliases.get(path)
    if (alias !== undefined) return alias
    const read = readBundlePath(path)
    if (read === undefined || read.digest !== undefined) return undefined
    return [read.name, read.stem].find((name) => names.has(name))
  }

  return {
    configure(bundles) {
      known.clear()
      names = new Set(bundles.map(({ name }) => name))
      aliases = new Map(bundles.flatMap(({ name, aliases }) => aliases.map((path) => [path, name] as const)))
    },
    at(path) {
      const before = known.get(path)
      if (before !== undefined) return before
      const name = find(path)
      if (name !== undefined && known.size < maxKnownPaths) known.set(path, name)
      return name
    },
    isAlias: (path) => aliases.has(path),
  }
}
