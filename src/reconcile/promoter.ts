import type { Clock } from '../lib/clock.ts'
import type { Approval, Promotion, PromotionTerms } from '../model/promotion.ts'
import type { State } from '../state/state.ts'
import type { Promoter } from '../stores/store.ts'
import { isWhole } from './place-row.ts'
import { judgePromotion, type PromotionFacts } from './promotion.ts'

interface PromoterOptions {
  /** The bundle that takes what is promoted. */
  bundle: string
  terms: PromotionTerms
  state: Pick<State, 'bundles' | 'deployments' | 'promotions'>
  clock: Clock
}

/** Reads from the state how far another bundle's releases are. */
export function createPromoter({ bundle, terms, state, clock }: PromoterOptions): Promoter {
  const { from, place } = terms
  let last: Promotion | null = null

  async function judge(): Promise<{ standing: Promotion; approvals: readonly Approval[] }> {
    const { ripe, approvals } = await state.promotions.read(bundle, from, place)
    const approved = approvals.map(({ release }) => release)
    const now = clock.now()
    const { promoted, ripened, waiting } = judgePromotion({ terms, ripe, approved, now, ...(await whatIsThere()) })
    if (ripened !== null) await state.promotions.ripen(bundle, { from, place, release: ripened, at: now })
    const release = waiting === null ? undefined : await state.bundles.release(from, waiting.release)
    const next = waiting && release && { ...waiting, version: release.version, digest: release.manifestDigest }
    last = { ...terms, promoted, waiting: next ?? null }
    return { standing: last, approvals }
  }

  async function whatIsThere(): Promise<Pick<PromotionFacts, 'desired' | 'present'>> {
    const [current] = await state.bundles.releases(from, 1)
    if (place === null) {
      const present = current === undefined ? null : { release: current.number, since: current.activatedAt }
      return { desired: current?.number ?? null, present }
    }
    const row = (await state.deployments.list(from)).find((deployment) => deployment.place === place)
    if (row === undefined) return { desired: current?.number ?? null, present: null }
    const { deployed, deployedAt, desired, state: is } = row
    // A place that failed, or that somebody else changed, says nothing for what it holds.
    const isThere = is !== 'drifted' && isWhole(row)
    return { desired, present: isThere ? { release: deployed!, since: deployedAt! } : null }
  }

  return {
    terms,
    standing: async () => (await judge()).standing,
    get last() {
      return last
    },
    async promoted() {
      const { standing, approvals } = await judge()
      const { promoted } = standing
      const release = promoted === null ? undefined : await state.bundles.release(from, promoted)
      const approval = terms.approval ? approvals.find((one) => one.release === promoted) : undefined
      return release && { release, ...(approval && { by: approval.by }) }
    },
  }
}
