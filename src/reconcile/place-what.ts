import type { Deploy } from '../deployers/deployer.ts'
import type { Deployment } from '../model/deployment.ts'
import type { Release } from '../model/release.ts'
import { keyOf } from './place-words.ts'
import type { Origin } from './source.ts'
import type { PlaceSpec } from './types.ts'

interface How extends Pick<Deploy, 'source' | 'say' | 'check'> {
  spec: PlaceSpec
  origin: Origin
}

/** A release as a deployer is handed it, for one place. */
export function deployOf(row: Deployment, release: Release, { spec, origin, source, say, check }: How): Deploy {
  const { place, forced, forcedDone } = row
  const { form, path, limits } = spec
  return {
    ...{ release, place, form, path, limits, source, origin: origin.address, say, check },
    ...{ isForced: forced > forcedDone, idempotencyKey: keyOf(row, release) },
  }
}
