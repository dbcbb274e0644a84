import { planOf } from '../artifact/plan.ts'
import type { Config } from '../config/config.ts'
import type { Content } from '../content/content.ts'
import type { Clock } from '../lib/clock.ts'
import { IntegrityError, StorageError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Digest } from '../oci/digest.ts'
import { maxManifestBytes, parseManifest } from '../oci/manifest.ts'
import type { Descriptor } from '../oci/target.ts'
import { rebuildCatalog } from '../registry/rebuild.ts'
import type { State } from '../state/state.ts'

interface Parts {
  config: Pick<Config, 'bundles' | 'content'>
  content: Content
  state: State
  clock: Clock
  logger: Logger
}

const underWay = 'rebuilding'
const reason = 'the state was rebuilt from the folder'
const pageLength = 500

/**
 * Fills a new state from the layouts in the content folder: what repositories hold, and of each bundle the release that its
 * tag `latest` stands for. Pins, history and what was deployed are gone, so deploying is held. Throws StorageError `corrupt`
 * where a layout cannot be read; then the state counts as half made.
 */
export async function rebuildState({ config, content, state, clock, logger }: Parts): Promise<void> {
  await state.facts.set(underWay, 'yes')
  const { catalog } = state
  const rebuilt = await rebuildCatalog({ folder: config.content.path, content, catalog, clock })
  for (const problem of rebuilt.problems) logger.warn({ problem }, `not all could be rebuilt: ${problem}`)
  const kinds = new Map(config.bundles.map(({ name, kind }) => [name, kind]))
  const bundles = new Set(kinds.keys())
  for await (const bundle of releasedBundles(state)) {
    bundles.add(bundle)
    const release = await findRelease(bundle, kinds.get(bundle) ?? 'opa', { content, state })
    if (release === undefined) logger.warn({ bundle }, 'the newest release could not be found; it is fetched anew')
    else await state.bundles.adopt({ bundle, ...release, reason }, clock.now())
  }
  await state.decisions.hold([...bundles], { by: 'longshore', at: clock.now(), reason })
  await state.facts.set(underWay, 'no')
  const { repositories, manifests, tags } = rebuilt
  logger.info(
    { repositories, manifests, tags },
    `${reason}; deploying is held until somebody says \`longshore resume\``,
  )
}

/** Throws StorageError when a rebuild was cut short: what it did not come to would count as not needed. */
export async function refuseHalfRebuilt(state: State, path: string): Promise<void> {
  if ((await state.facts.get(underWay)) !== 'yes') return
  throw new StorageError('corrupt', `rebuilding the state in ${path} was not finished`, {
    hint: `Remove ${path}/state.db, or name an empty database, and start with --rebuild-state again.`,
  })
}

const prefix = 'bundles/'

async function* releasedBundles({ catalog }: State): AsyncIterable<string> {
  let after = prefix
  for (;;) {
    const page = await catalog.repositories({ after, limit: pageLength })
    for (const name of page) {
      if (!name.startsWith(prefix)) return
      yield name.slice(prefix.length)
    }
    if (page.length < pageLength) return
    after = page.at(-1)!
  }
}

async function findRelease(
  bundle: string,
  kind: Config['bundles'][number]['kind'],
  { content, state: { catalog } }: Pick<Parts, 'content' | 'state'>,
) {
  const repository = `${prefix}${bundle}`
  const row = await catalog.manifest(repository, 'latest')
  if (row === undefined) return undefined
  const { digest, mediaType } = row
  const layer = servedLayer({ digest, mediaType, bytes: await content.bytes(digest, maxManifestBytes) }, kind)
  if (layer === undefined || (await content.stat(layer.digest)) === undefined) return undefined
  return {
    ...{ bundleDigest: layer.digest, size: layer.size, manifestDigest: digest, sourceDigest: digest },
    ...{ form: 'original' as const, revision: null, version: await versionOf(repository, digest, catalog) },
  }
}

/** What stands in `bundles/NAME` is in the form that is served. */
function servedLayer(raw: Parameters<typeof parseManifest>[0], kind: 'opa' | 'files'): Descriptor | undefined {
  const manifest = parseManifest(raw)
  if (manifest.kind !== 'image') return undefined
  try {
    return planOf(manifest, kind).original ?? undefined
  } catch (error) {
    if (error instanceof IntegrityError) return undefined
    throw error
  }
}

/** Its other tag; `latest` where it has none. */
async function versionOf(repository: string, digest: Digest, catalog: State['catalog']): Promise<string> {
  let after = ''
  for (;;) {
    const page = await catalog.tagged(repository, { after, limit: pageLength })
    const found = page.find(({ tag, manifest }) => manifest.digest === digest && tag !== 'latest')
    if (found !== undefined) return found.tag
    if (page.length < pageLength) return 'latest'
    after = page.at(-1)!.tag
  }
}
