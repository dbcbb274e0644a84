import type { Follow } from '../model/follow.ts'
import type { RepositoryChange } from '../registry/types.ts'
import type { BundleSpec } from './types.ts'

/** Which bundles are to look when something here changes: a repository of the built-in registry, or what is promoted from. */
export class Links {
  /** Names by the repository that they follow. */
  #followers = new Map<string, string[]>()
  /** Names by the bundle and the place that they are promoted from. */
  #takers = new Map<string, string[]>()

  configure(specs: readonly BundleSpec[]): void {
    this.#followers = namesBy(specs, ({ store }) => store.watches)
    this.#takers = namesBy(specs, ({ store: { promoter } }) =>
      promoter === undefined ? undefined : originOf(promoter.terms.from, promoter.terms.place ?? null),
    )
  }

  followersOf(repository: string): readonly string[] {
    return this.#followers.get(repository) ?? []
  }

  /** `place`: null where it is the bundle's release that counts, wherever it is. */
  takersOf(bundle: string, place: string | null): readonly string[] {
    return this.#takers.get(originOf(bundle, place)) ?? []
  }
}

/** Whether a change of this tag, or this digest, may change what counts. */
export function isFollowed(follow: Follow, { tag, digest }: Pick<RepositoryChange, 'tag' | 'digest'>): boolean {
  if ('tag' in follow) return follow.tag === tag
  if ('digest' in follow) return follow.digest === digest
  // Any tag may be the one that counts from now on.
  return tag !== null
}

function namesBy(specs: readonly BundleSpec[], keyOf: (spec: BundleSpec) => string | undefined): Map<string, string[]> {
  const names = new Map<string, string[]>()
  for (const spec of specs) {
    const key = keyOf(spec)
    if (key === undefined) continue
    const some = names.get(key)
    if (some === undefined) names.set(key, [spec.name])
    else some.push(spec.name)
  }
  return names
}

function originOf(bundle: string, place: string | null): string {
  return `${bundle}\n${place ?? ''}`
}
