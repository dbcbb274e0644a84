import { ConfigError } from '../lib/errors.ts'
import { everyBundle, type Said, type Word } from '../model/decision.ts'
import type { Steering } from '../model/steering.ts'
import type { State } from '../state/state.ts'
import { createApproving, type ApprovingParts } from './approving.ts'
import type { Decisions } from './decisions.ts'
import type { Deployments } from './deployments.ts'
import { createPinning, type PinningParts } from './pinning.ts'
import type { Place } from './place.ts'

interface SteeringParts extends PinningParts, ApprovingParts {
  decisions: Decisions
  deployments: Deployments
  state: Pick<State, 'bundles' | 'deployments' | 'promotions'>
}

/** What persons say: first made durable, then acted upon. */
export function createSteering(parts: SteeringParts): Steering {
  return { ...createPinning(parts), ...createApproving(parts), ...createDeploying(parts) }
}

function createDeploying({
  decisions,
  deployments,
  state,
  clock,
}: SteeringParts): Omit<Steering, 'pin' | 'unpin' | 'rollback' | 'approve'> {
  const wordOf = (said: Said): Word => ({ ...said, at: clock.now() })
  const placesOf = (bundle: string, place: string | null): Place[] => {
    const places = deployments.places(bundle)
    const wanted = place === null ? places : places.filter(({ row }) => row.place === place)
    if (wanted.length === 0) throw noPlace(bundle, place, places)
    return wanted
  }

  return {
    hold: (bundle, said) => decisions.hold(bundle, wordOf(said)),

    async resume(bundle, said) {
      const hold = decisions.holdOf(bundle)
      if (bundle !== everyBundle && hold?.bundle === everyBundle) throw allHeld(bundle, hold.by)
      const resumed = await decisions.resume(bundle, wordOf(said))
      if (bundle === everyBundle) deployments.wake()
      else deployments.wake(bundle)
      return resumed
    },

    async switchAutoDeploy(bundle, place, on, said) {
      if (place !== null) placesOf(bundle, place)
      await decisions.switchAutoDeploy(bundle, place, on, wordOf(said))
      if (on) deployments.wake(bundle)
    },

    async deploy(bundle, place, said) {
      const places = placesOf(bundle, place)
      const hold = decisions.holdOf(bundle)
      if (hold !== null) throw held(bundle, hold)
      if (places.every(({ row }) => row.desired === null)) throw nothingYet(bundle)
      const rows = await state.deployments.force(bundle, place, wordOf(said))
      deployments.force(rows)
      return rows
    },

    plan: (bundle, place, signal) => Promise.all(placesOf(bundle, place).map((one) => one.plan(signal))),
  }
}

function noPlace(bundle: string, place: string | null, places: readonly Place[]): ConfigError {
  const names = places.map(({ row }) => row.place)
  const message = place === null || names.length === 0 ? 'goes to no place' : `does not go to ${place}`
  const hint = names.length === 0 ? `Name one in bundles.${bundle}.deploy.` : `It goes to ${names.join(', ')}.`
  return new ConfigError(`${bundle} ${message}`, { code: 'no_place', hint })
}

function held(bundle: string, { by, reason }: { by: string; reason: string }): ConfigError {
  return new ConfigError(`${bundle} is held by ${by}${reason === '' ? '' : `: ${reason}`}`, {
    code: 'held',
    hint: `Go on with \`longshore resume ${bundle}\` first.`,
  })
}

function allHeld(bundle: string, by: string): ConfigError {
  return new ConfigError(`cannot resume ${bundle} alone: ${by} holds all bundles`, {
    code: 'held',
    hint: 'Resume all with `longshore resume`, then hold those that are not to go on.',
  })
}

function nothingYet(bundle: string): ConfigError {
  return new ConfigError(`there is no release of ${bundle} to deploy yet`, {
    code: 'no_release',
    hint: `\`longshore look ${bundle}\` says why.`,
  })
}
