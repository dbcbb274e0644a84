import type { Clock } from '../lib/clock.ts'
import { ConfigError } from '../lib/errors.ts'
import type { PinTo } from '../model/decision.ts'
import type { Look, Release } from '../model/release.ts'
import type { Steering } from '../model/steering.ts'
import type { State } from '../state/state.ts'
import type { Decisions } from './decisions.ts'
import { asRelease } from './pinned.ts'
import type { BundleSpec } from './types.ts'

export interface PinningParts {
  decisions: Pick<Decisions, 'pin' | 'unpin'>
  state: Pick<State, 'bundles'>
  clock: Clock
  /** As the config has it. */
  specOf(bundle: string): BundleSpec | undefined
  currentOf(bundle: string): Release | null
  /** Looks at what counts now that a pin came or went. */
  redirect(bundle: string, by: string): Promise<Look | undefined>
}

type Pinning = Pick<Steering, 'pin' | 'unpin' | 'rollback'>

/** Releases that a rollback looks back through for another content. */
const mostBack = 1000

export function createPinning(parts: PinningParts): Pinning {
  const { decisions, state, clock } = parts

  const pin: Steering['pin'] = async (bundle, wanted, said, signal) => {
    const spec = parts.specOf(bundle)
    if (spec === undefined) throw left(bundle)
    const to = await asRelease(bundle, wanted, parts)
    await demand(spec, to, signal)
    await decisions.pin(bundle, to, { ...said, at: clock.now() })
    return { to, look: await looked(bundle, said.by) }
  }

  const demand = async ({ name, store, pull }: BundleSpec, to: PinTo, signal: AbortSignal) => {
    if (!('release' in to)) {
      if ((await store.resolve(to, signal)) === undefined) throw noVersion(name, store.name, to)
      return
    }
    const release = await state.bundles.release(name, to.release)
    if (release === undefined) throw noRelease(name, to.release)
    const isHere = pull && release.kept && release.bundleDigest !== null
    if (isHere || (await store.resolve({ digest: release.sourceDigest }, signal)) !== undefined) return
    throw gone(release, store.name)
  }

  const looked = async (bundle: string, by: string): Promise<Look> => {
    const look = await parts.redirect(bundle, by)
    if (look === undefined) throw left(bundle)
    return look
  }

  return {
    pin,

    async unpin(bundle, said) {
      const wasPinned = await decisions.unpin(bundle, { ...said, at: clock.now() })
      return { wasPinned, look: wasPinned ? await looked(bundle, said.by) : null }
    },

    async rollback(bundle, release, said, signal) {
      const to = release ?? (await releaseBefore(bundle, parts.currentOf(bundle), state))
      return pin(bundle, { release: to }, said, signal)
    },
  }
}

/** The newest that had another content than what is served. */
async function releaseBefore(bundle: string, current: Release | null, { bundles }: Pick<State, 'bundles'>) {
  const past = await bundles.releases(bundle, mostBack)
  const before = past.find(
    ({ number, manifestDigest }) =>
      current !== null && number < current.number && manifestDigest !== current.manifestDigest,
  )
  if (before !== undefined) return before.number
  throw new ConfigError(
    `no release of ${bundle} before ${current?.number ?? 'the first'} has another content to go back to`,
    {
      code: 'no_release',
      hint: `\`longshore releases ${bundle}\` lists them.`,
    },
  )
}

function noVersion(bundle: string, store: string, to: Exclude<PinTo, { release: number }>): ConfigError {
  const name = 'tag' in to ? to.tag : to.digest
  return new ConfigError(`cannot pin ${bundle} to ${name}: ${store} has no such version`, {
    code: 'no_version',
    hint: 'Nothing was changed. A release is pinned by its number: @41.',
  })
}

function noRelease(bundle: string, number: number): ConfigError {
  return new ConfigError(`${bundle} has no release ${number}`, {
    code: 'no_release',
    hint: `\`longshore releases ${bundle}\` lists them.`,
  })
}

function gone({ bundle, number, sourceDigest }: Release, store: string): ConfigError {
  return new ConfigError(
    `the bytes of release ${number} of ${bundle} are not kept here, and ${store} does not have them`,
    {
      code: 'gone',
      hint: `Push ${sourceDigest} there again, or choose a release that is kept.`,
    },
  )
}

function left(bundle: string): ConfigError {
  return new ConfigError(`${bundle} is not configured`, { code: 'no_bundle', hint: '`longshore status` lists them.' })
}
