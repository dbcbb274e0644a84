import type { Follow } from '../model/follow.ts'
import type { RepositoryChange } from '../registry/types.ts'
import type { BundleSpec } from './types.ts'
import type { Watch } from './watch.ts'

/** Has bundles look when something here changes: a repository of the built-in registry, or what is promoted from. */
export class Links {
  readonly #watchOf: (name: string) => Watch | undefined
  #specs = new Map<string, BundleSpec>()
  /** Names by the repository that they follow. */
  #followers = new Map<string, string[]>()
  /** Names by the bundle and the place that they are promoted from. */
  #takers = new Map<string, string[]>()

  constructor(watchOf: (name: string) => Watch | undefined) {
    this.#watchOf = watchOf
  }

  /** As the config has them: a pin comes and goes, what a bundle takes its releases from stays. */
  configure(specs: readonly BundleSpec[]): void {
    this.#specs = new Map(specs.map((spec) => [spec.name, spec]))
    this.#followers = namesBy(specs, ({ store }) => store.watches)
    this.#takers = namesBy(specs, ({ store: { promoter } }) =>
      promoter === undefined ? undefined : originOf(promoter.terms.from, promoter.terms.place ?? null),
    )
  }

  pushed({ repository, tag, digest }: RepositoryChange): void {
    for (const name of this.#followers.get(repository) ?? []) {
      const watch = this.#watchOf(name)
      watch?.list.forget()
      if (watch !== undefined && isFollowed(watch.spec.follow, { tag, digest })) ask(watch, 'push')
    }
  }

  /** What is on its way to a place is what comes next to those that take it from there. */
  released(bundle: string): void {
    this.#promote(bundle, null)
    for (const { name: place } of this.#specs.get(bundle)?.places ?? []) {
      for (const taker of this.#takersOf(bundle, place)) {
        void this.#specs
          .get(taker)
          ?.store.promoter?.standing()
          .catch(() => undefined)
      }
    }
  }

  deployed(bundle: string, place: string): void {
    this.#promote(bundle, place)
  }

  /** `place`: null for those to which it is enough that it is the bundle's release. */
  #promote(bundle: string, place: string | null): void {
    for (const taker of this.#takersOf(bundle, place)) {
      const watch = this.#watchOf(taker)
      if (watch !== undefined) ask(watch, 'promotion')
    }
  }

  #takersOf(bundle: string, place: string | null): readonly string[] {
    return this.#takers.get(originOf(bundle, place)) ?? []
  }
}

function ask(watch: Watch, trigger: string): void {
  void watch.ask(trigger).catch(() => undefined)
}

/** Whether a change of this tag, or this digest, may change what counts. */
function isFollowed(follow: Follow, { tag, digest }: Pick<RepositoryChange, 'tag' | 'digest'>): boolean {
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
