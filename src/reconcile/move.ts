import { isDeepStrictEqual } from 'node:util'
import type { Deploy, Deployer, Removal } from '../deployers/deployer.ts'
import type { Deployment } from '../model/deployment.ts'
import type { Placement } from '../model/placement.ts'
import type { State } from '../state/state.ts'

/** The config says of a place another way, or another place, than what is there went. Until it is there as the config says, the state has the older word. */
export interface Move {
  from: Placement
  to: Placement
}

type Known = Awaited<ReturnType<State['placements']['list']>>

/** Undefined where nothing may be there, or where it went as the config says. */
export function moveTo(to: Placement, known: Known, rows: readonly Deployment[]): Move | undefined {
  const row = rows.find(({ place }) => place === to.place)
  const before = known.find(({ place, leftAt }) => place === to.place && leftAt === null)
  if (before === undefined || row === undefined) return undefined
  if (row.deployed === null && row.lastAttemptAt === null) return undefined
  const { place, form, path, address } = before
  const from = { place, form, path, address }
  return isDeepStrictEqual(from, to) ? undefined : { from, to }
}

/** Once it is there as the config says: what stayed where it was before goes, if the deployer says so, and the state says where it is now. */
export async function settleMove(
  { from, to }: Move,
  what: Deploy,
  { pruner, state }: { pruner: Deployer | undefined; state: Pick<State, 'placements'> },
  signal: AbortSignal,
): Promise<void> {
  const { release, say, check } = what
  const { bundle } = release
  // What an address of the past stood for is not known any more.
  if (pruner?.remove !== undefined && from.address === to.address && from.path !== to.path) {
    const form = from.form as Removal['form']
    const about = { bundle, place: to.place, form, path: from.path, movedTo: { path: to.path } }
    await pruner.remove({ ...about, releases: [release], say, check }, signal)
  }
  await state.placements.move(bundle, to)
}
