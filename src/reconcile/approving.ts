import type { Clock } from '../lib/clock.ts'
import { ConfigError } from '../lib/errors.ts'
import type { Promotion } from '../model/promotion.ts'
import type { Look, Release } from '../model/release.ts'
import type { Steering } from '../model/steering.ts'
import type { State } from '../state/state.ts'
import type { Promoter } from '../stores/store.ts'
import type { BundleSpec } from './types.ts'

export interface ApprovingParts {
  state: Pick<State, 'bundles' | 'promotions'>
  clock: Clock
  /** As the config has it. */
  specOf(bundle: string): BundleSpec | undefined
  /** Looks at what counts now that somebody agreed. */
  look(bundle: string): Promise<Look | undefined>
}

/** A person agrees to a release of another bundle: kept first, then looked at. */
export function createApproving({ state, clock, ...parts }: ApprovingParts): Pick<Steering, 'approve'> {
  return {
    async approve(bundle, which, said) {
      const promoter = parts.specOf(bundle)?.store.promoter
      if (promoter?.terms.approval !== true) throw noApproval(bundle)
      const standing = await promoter.standing()
      const release = await meant(bundle, standing, which)
      await demand(bundle, standing, release)
      const { from, place } = promoter.terms
      const { number, version, manifestDigest: digest } = release
      const approval = { bundle, from, release: number, digest, ...said, at: clock.now() }
      const isNew = await state.promotions.approve(approval, version)
      const looked = (await parts.look(bundle)) ?? null
      return { release: number, version, digest, isNew, place, waiting: await waitingOf(promoter), look: looked }
    },
  }

  async function meant(
    bundle: string,
    { from, waiting }: Promotion,
    which: Parameters<Steering['approve']>[1],
  ): Promise<Release> {
    if (which === null && waiting === null) throw nothingWaits(bundle, from)
    const to = which ?? { release: waiting!.release }
    const release =
      'digest' in to
        ? await state.bundles.releaseByDigest(from, to.digest)
        : await state.bundles.release(from, to.release)
    if (release === undefined) throw noRelease(from, 'digest' in to ? to.digest : `release ${to.release}`)
    return release
  }

  /** What can no longer come is refused, so that nobody waits for it. */
  async function demand(bundle: string, standing: Promotion, { number }: Release): Promise<void> {
    const { from, place, promoted, waiting } = standing
    if (promoted !== null && number <= promoted) throw promotedAlready(bundle, from, number, promoted)
    if (waiting === null || number >= waiting.release) return
    const { ripe } = await state.promotions.read(bundle, from, place)
    if (!ripe.includes(number)) throw cameTooLate(from, number, waiting.release)
  }
}

/** What still keeps it from going on. */
async function waitingOf(promoter: Promoter): Promise<Promotion['waiting']> {
  return (await promoter.standing()).waiting
}

function noApproval(bundle: string): ConfigError {
  return new ConfigError(`${bundle} takes its releases without an approval`, {
    code: 'no_approval',
    hint: 'It is asked for by a store of type bundle with approval: true.',
  })
}

function nothingWaits(bundle: string, from: string): ConfigError {
  return new ConfigError(`no release of ${from} waits for an approval for ${bundle}`, {
    code: 'no_release',
    hint: `\`longshore explain ${bundle}\` says how far they are.`,
  })
}

function noRelease(from: string, what: string): ConfigError {
  return new ConfigError(`${from} has no ${what}`, {
    code: 'no_release',
    hint: `\`longshore releases ${from}\` lists them.`,
  })
}

function promotedAlready(bundle: string, from: string, number: number, promoted: number): ConfigError {
  const what =
    number === promoted ? `${number} of ${from} was promoted already` : `${promoted} of ${from} was promoted since`
  return new ConfigError(`cannot approve release ${number}: release ${what}`, {
    code: 'promoted',
    hint: `To go back, \`longshore rollback ${bundle}\`.`,
  })
}

function cameTooLate(from: string, number: number, waiting: number): ConfigError {
  return new ConfigError(
    `cannot approve release ${number} of ${from}: release ${waiting} took its place before its delay was over`,
    { code: 'replaced', hint: `Approve release ${waiting}, or pin the version.` },
  )
}
