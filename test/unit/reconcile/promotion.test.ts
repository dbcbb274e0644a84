import { describe, expect, it } from 'vitest'
import { judgePromotion, type PromotionFacts, type PromotionVerdict } from '../../../src/reconcile/promotion.ts'

const hour = 3_600_000
const base: PromotionFacts = {
  terms: { delayMs: hour, approval: false },
  desired: null,
  present: null,
  ripe: [],
  approved: [],
  now: 100 * hour,
}
/** There since so long before now. */
const there = (release: number, ms: number) => ({ desired: release, present: { release, since: base.now - ms } })
const waits = (release: number, more: Partial<PromotionVerdict['waiting']> = {}) => ({
  ...{ release, isThere: true, until: null, needsApproval: false },
  ...more,
})
const approval = { delayMs: hour, approval: true }
const atOnce = { delayMs: 0, approval: false }

describe('which release of another bundle counts', () => {
  it.each<
    [string, Partial<PromotionFacts>, promoted: number | null, ripened: number | null, PromotionVerdict['waiting']]
  >([
    ['there is none', {}, null, null, null],
    ['it is only about to be there', { desired: 1 }, null, null, waits(1, { isThere: false })],
    ['it came just now', there(1, 0), null, null, waits(1, { until: base.now + hour })],
    ['it is there for less than the delay', there(1, hour - 1), null, null, waits(1, { until: base.now + 1 })],
    ['it is there for the delay', there(1, hour), 1, 1, null],
    ['no delay is asked for', { terms: atOnce, ...there(1, 0) }, 1, 1, null],
    ['it was there for long enough when somebody looked before', { ...there(1, hour), ripe: [1] }, 1, null, null],
    ['a newer one begins its delay', { ...there(2, 5), ripe: [1] }, 1, null, waits(2, { until: base.now + hour - 5 })],
    ['a newer one came before the delay was over', there(2, 5), null, null, waits(2, { until: base.now + hour - 5 })],
    ['a newer one was there for long enough', { ...there(2, hour), ripe: [1] }, 2, 2, null],
    [
      'a newer one is on its way, and nothing is there',
      { desired: 2, ripe: [1] },
      1,
      null,
      waits(2, { isThere: false }),
    ],
    [
      'a newer one is on its way, and the older one still there',
      { desired: 2, present: { release: 1, since: base.now - 5 } },
      null,
      null,
      waits(1, { until: base.now + hour - 5 }),
    ],
    ['nobody agreed', { terms: approval, ...there(1, hour) }, null, 1, waits(1, { needsApproval: true })],
    ['somebody agreed', { terms: approval, ...there(1, hour), approved: [1] }, 1, 1, null],
    [
      'somebody agreed before the delay was over',
      { terms: approval, ...there(1, 1), approved: [1] },
      null,
      null,
      waits(1, { until: base.now + hour - 1 }),
    ],
    [
      'nobody agreed to the newer one',
      { terms: approval, ...there(2, hour), ripe: [1, 2], approved: [1] },
      1,
      null,
      waits(2, { needsApproval: true }),
    ],
    [
      'somebody agreed to the one that was there before',
      { terms: approval, ...there(2, 1), ripe: [1], approved: [1] },
      1,
      null,
      waits(2, { until: base.now + hour - 1, needsApproval: true }),
    ],
    [
      'somebody agreed to another one',
      { terms: approval, ...there(2, 1), approved: [1] },
      null,
      null,
      waits(2, { until: base.now + hour - 1, needsApproval: true }),
    ],
    [
      'an approval is no longer asked for',
      { ...there(2, 1), ripe: [1] },
      1,
      null,
      waits(2, { until: base.now + hour - 1 }),
    ],
    ['the clock was set back', there(1, -hour), null, null, waits(1, { until: base.now + 2 * hour })],
  ])('where %s', (_what, facts, promoted, ripened, waiting) => {
    expect(judgePromotion({ ...base, ...facts })).toEqual({ promoted, ripened, waiting })
  })
})
