import { FinalError, RemoteError } from '../../lib/errors.ts'
import { counted, formatSize } from '../../lib/units.ts'
import { copy } from '../../oci/copy.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Sink } from '../../oci/target.ts'
import type { Deploy, Deployer, DeployerContext, Observation, Removal } from '../deployer.ts'
import type { OciDeployerConfig } from './schema.ts'
import { tagsOf } from './tags.ts'

export function createDeployer(config: OciDeployerConfig, { registries }: DeployerContext): Deployer {
  return new OciDeployer(config, registries)
}

/** Another registry's repository: each release goes there under the same digest, and gets the tags. */
class OciDeployer implements Deployer {
  readonly name: string
  readonly address: string
  readonly #target: Sink
  readonly #config: OciDeployerConfig
  readonly #registries: DeployerContext['registries']

  constructor(config: OciDeployerConfig, registries: DeployerContext['registries']) {
    this.name = config.repository
    this.address = config.repository
    this.#config = config
    this.#registries = registries
    this.#target = this.#repository(config.repository)
  }

  /** One HEAD for each tag. The tags are set last, so a tag that is right says that everything is there. */
  async observe(what: Deploy, signal: AbortSignal): Promise<Observation> {
    const wanted = digestToPut(what)
    const found: (Digest | undefined)[] = []
    for (const tag of this.#tags(what)) found.push((await this.#target.head(tag, signal))?.digest)
    return { digest: found[0] ?? null, settled: found.every((digest) => digest === wanted) }
  }

  async deploy(what: Deploy, signal: AbortSignal): Promise<void> {
    const mountFrom = this.#neighbour(what)
    const tags = what.isForced ? this.#tags(what) : await this.#wrongTags(what, signal)
    const copied = await copy(what.source, digestToPut(what), this.#target, {
      tags,
      referrers: this.#config.referrers,
      ...(mountFrom && { mountFrom }),
      beforePut: what.check,
      signal,
    })
    const { digest, blobsCopied, bytes, mounted, skipped } = copied
    what.say(
      `${counted(blobsCopied, 'blob')} sent (${formatSize(bytes)}), ${mounted} mounted, ${skipped} there already`,
    )
    what.say(`${digest} is there as ${tags.length === 0 ? 'it was' : tags.join(', ')}`)
  }

  /** Tags that were put there and still stand for what they were put there for. The manifests stay: others may have tags of them. */
  async remove({ releases, form, say, check }: Removal, signal: AbortSignal): Promise<void> {
    const ours = new Map<string, Set<Digest>>()
    for (const release of releases) {
      for (const tag of this.#tags({ release, form })) {
        ours.set(tag, (ours.get(tag) ?? new Set()).add(digestToPut({ release, form })))
      }
    }
    for (const [tag, digests] of ours) {
      signal.throwIfAborted()
      const found = (await this.#target.head(tag, signal))?.digest
      if (found === undefined) continue
      if (digests.has(found)) {
        await check()
        await this.#target.deleteTag(tag, signal).catch(giveUpWhereUnsupported)
        say(`removed the tag ${tag}`)
      } else say(`${tag} stays: it stands for ${found} by now`)
    }
  }

  /** A try before this one may have come half-way: nobody is told again of a tag that is right. */
  async #wrongTags(what: Deploy, signal: AbortSignal): Promise<string[]> {
    const wrong: string[] = []
    for (const tag of this.#tags(what)) {
      if ((await this.#target.head(tag, signal))?.digest !== digestToPut(what)) wrong.push(tag)
    }
    return wrong
  }

  /** The release came from another repository of this registry, as it is: then not a byte needs to be sent. */
  #neighbour({ release, form, origin }: Deploy): Sink | undefined {
    const isAsItCame = form === 'source' || release.form === 'original'
    if (!isAsItCame || origin === this.address || hostOf(origin) !== hostOf(this.address)) return undefined
    return this.#repository(origin)
  }

  #repository(name: string): Sink {
    const { username, password, plainHttp } = this.#config
    return this.#registries.repository(name, { username, password, plainHttp })
  }

  #tags(what: Pick<Deploy, 'release' | 'form'>): string[] {
    return tagsOf(this.#config.tags, what.release, digestToPut(what))
  }
}

/** A registry that knows no such request will not learn it by being asked again. */
function giveUpWhereUnsupported(error: unknown): never {
  if (error instanceof RemoteError && error.code === 'unsupported') {
    throw new FinalError(error.message, { cause: error, hint: 'Its tags have to be removed there by hand.' })
  }
  throw error
}

function digestToPut({ release, form }: Pick<Deploy, 'release' | 'form'>): Digest {
  return form === 'source' ? release.sourceDigest : release.manifestDigest
}

/** An address without a host is none of a registry. */
function hostOf(address: string): string {
  return address.slice(0, address.indexOf('/'))
}
