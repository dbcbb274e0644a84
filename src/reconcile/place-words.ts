import type { Deployer, Observation } from '../deployers/deployer.ts'
import { RemoteError } from '../lib/errors.ts'
import { formatDuration } from '../lib/units.ts'
import type { Deployment } from '../model/deployment.ts'
import type { Release } from '../model/release.ts'
import type { Digest } from '../oci/digest.ts'

/** The same for a release at a place, however often it is tried; another one each time that a person asks for it. */
export function keyOf({ bundle, place, forced }: Deployment, { number, manifestDigest }: Release): string {
  const key = `${bundle}/${place}/${number}/${manifestDigest}`
  return forced === 0 ? key : `${key}/${forced}`
}

export function tookTooLong({ name }: Deployer, deadlineMs: number): RemoteError {
  return new RemoteError('timeout', `${name} took longer than ${formatDuration(deadlineMs)}`, {
    host: name,
    retryable: true,
  })
}

export function notThere({ name }: Deployer, release: number, { digest }: Observation): RemoteError {
  return new RemoteError('conflict', `${name} holds ${digest ?? 'nothing'} after release ${release} was put there`, {
    host: name,
    hint: 'Something else may write there too.',
  })
}

export function driftOf({ name }: Deployer, release: number, digest: Digest | null): string {
  return `${name} no longer holds release ${release} as it was put there: ${digest === null ? 'nothing is there' : `it says ${digest}`}`
}
