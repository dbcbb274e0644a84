import { copy } from '../../oci/copy.ts'
import type { Digest } from '../../oci/digest.ts'
import { tagOf } from '../../oci/tag.ts'
import type { Sink } from '../../oci/target.ts'
import type { Deploy, Deployer, DeployerContext, Observation } from '../deployer.ts'
import type { OciDeployerConfig } from './schema.ts'

export function createDeployer(config: OciDeployerConfig, { registries }: DeployerContext): Deployer {
  const { repository, tags, referrers, username, password, plainHttp } = config
  return new OciDeployer(
    repository,
    registries.repository(repository, { username, password, plainHttp }),
    tags,
    referrers,
  )
}

/** Another registry's repository: each release goes there under the same digest, and gets the tags. */
class OciDeployer implements Deployer {
  readonly name: string
  readonly address: string
  readonly #target: Sink
  readonly #templates: readonly string[]
  readonly #referrers: boolean

  constructor(repository: string, target: Sink, templates: readonly string[], referrers: boolean) {
    this.name = repository
    this.address = repository
    this.#target = target
    this.#templates = templates
    this.#referrers = referrers
  }

  /** One HEAD for each tag. The tags are set last, so a tag that is right says that everything is there. */
  async observe(what: Deploy, signal: AbortSignal): Promise<Observation> {
    const wanted = digestToPut(what)
    const found: (Digest | undefined)[] = []
    for (const tag of this.#tags(what)) found.push((await this.#target.head(tag, signal))?.digest)
    return { digest: found[0] ?? null, settled: found.every((digest) => digest === wanted) }
  }

  async deploy(what: Deploy, signal: AbortSignal): Promise<void> {
    await copy(what.source, digestToPut(what), this.#target, {
      tags: this.#tags(what),
      referrers: this.#referrers,
      signal,
    })
  }

  #tags({ release }: Deploy): string[] {
    return [
      ...new Set(this.#templates.map((template) => tagOf(template.replaceAll('{version}', tagOf(release.version))))),
    ]
  }
}

function digestToPut({ release, form }: Deploy): Digest {
  return form === 'source' ? release.sourceDigest : release.manifestDigest
}
