import { z } from 'zod'
import { LongshoreError, StorageError } from '../../lib/errors.ts'
import type { Said } from '../../model/decision.ts'
import type { Look } from '../../model/release.ts'
import type { BundleStatus } from '../../model/status.ts'
import { isTag } from '../../oci/reference.ts'
import type { Control } from '../types.ts'
import { BadWish } from './bad-wish.ts'

/** Both may be missing or null, and other keys mean nothing. */
const wishSchema = z.object({ pinned_tag: z.string().nullish(), auto_deploy: z.boolean().nullish() })

export type Wish = z.output<typeof wishSchema>

export interface ChangeParts {
  control: Pick<Control, 'steering' | 'status'>
  said: Said
  signal: AbortSignal
}

/** Throws BadWish. */
export function parseWish(text: string): Wish {
  const problem = (why: string) => new BadWish(`Error: ${why}`)
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw problem(`the body is no JSON: ${(error as Error).message}`)
  }
  const wish = wishSchema.safeParse(json)
  if (!wish.success) {
    throw problem(wish.error.issues.map(({ path, message }) => [...path, message].join(': ')).join('; '))
  }
  const { pinned_tag: tag, auto_deploy: on } = wish.data
  if ((tag ?? on ?? null) === null) throw problem('pinned_tag, auto_deploy or both are needed')
  return wish.data
}

/** Switches, pins and deploys as was wished; what to answer. Throws BadWish. */
export async function fulfil(wish: Wish, bundle: BundleStatus, parts: ChangeParts): Promise<string> {
  const { pinned_tag: tag, auto_deploy: on } = wish
  if (tag === undefined || tag === null) {
    await switchTo(on === true, bundle, parts)
    return `Auto deployment set to ${on === true}`
  }
  refuseHeld(bundle)
  // Off before it is pinned, on after that: nothing goes anywhere but what is wished, and that once.
  if (on === false) await switchTo(false, bundle, parts)
  try {
    await deploy(bundle, await pin(tag, bundle, parts), parts)
  } finally {
    if (on === true) await switchTo(true, bundle, parts)
  }
  return `Deploying to ${tag}`
}

/** Takes the pin off, switches auto-deploy on, deploys the newest; what to answer. Throws BadWish. */
export async function reset(bundle: BundleStatus, parts: ChangeParts): Promise<string> {
  if (bundle.pin === null) return 'pinned_tag is already '
  refuseHeld(bundle)
  const { look } = await parts.control.steering.unpin(bundle.name, parts.said)
  await switchTo(true, bundle, parts)
  await deploy(bundle, look, parts)
  return 'Deploying to '
}

async function switchTo(on: boolean, bundle: BundleStatus, { control, said }: ChangeParts): Promise<void> {
  const { name, deployments } = bundle
  const isSo = deployments.length > 0 && deployments.every(({ autoDeploy }) => autoDeploy === on)
  if (!isSo) await control.steering.switchAutoDeploy(name, null, on, said)
}

/** No tag: what the config says counts. */
async function pin(tag: string, { name, store, pin: pinned }: BundleStatus, parts: ChangeParts): Promise<Look | null> {
  const { steering } = parts.control
  if (tag === '') return pinned === null ? null : (await steering.unpin(name, parts.said)).look
  const missing = () => new BadWish(`Error: ${store} has no tag ${tag.slice(0, 200)}`)
  if (!isTag(tag)) throw missing()
  try {
    return (await steering.pin(name, { tag }, parts.said, parts.signal)).look
  } catch (error) {
    if (error instanceof LongshoreError && error.code === 'no_version') throw missing()
    throw asBadWish(error)
  }
}

/** Everywhere, whatever is there; but where a new release goes by itself, it does not go twice. */
async function deploy({ name }: BundleStatus, look: Look | null, { control, said }: ChangeParts): Promise<void> {
  if (look?.outcome === 'failed' || look?.outcome === 'refused') {
    throw new BadWish(`Error: it is pinned, but cannot be deployed: ${look.message}`)
  }
  const bundle = (await control.status()).find((status) => status.name === name)
  const places = bundle?.deployments ?? []
  const forced = places.filter(({ autoDeploy }) => look?.outcome !== 'released' || !autoDeploy)
  for (const { place } of forced) {
    await control.steering.deploy(name, place, said).catch((error: unknown) => {
      throw asBadWish(error)
    })
  }
}

function refuseHeld({ name, held }: BundleStatus): void {
  if (held === null) return
  const { by, reason } = held
  throw new BadWish(`Error: ${name} is held by ${by}${reason === '' ? '' : `: ${reason}`}`)
}

function asBadWish(error: unknown): unknown {
  if (!(error instanceof LongshoreError) || error instanceof StorageError) return error
  return new BadWish(`Error: ${error.message}`)
}
