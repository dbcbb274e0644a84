import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { Output } from '../../../src/cli/output.ts'
import { describePlaces, describeStatus } from '../../../src/cli/status-table.ts'
import type { Deployment } from '../../../src/model/deployment.ts'
import type { Look, Release } from '../../../src/model/release.ts'
import type { LeftStatus } from '../../../src/model/placement.ts'
import type { BundleStatus, PlaceStatus } from '../../../src/model/status.ts'
import { digestOf } from '../../../src/oci/digest.ts'

const now = Date.UTC(2026, 0, 2)
const digest = digestOf('x')

function output(columns?: number) {
  return new Output({
    stdout: new PassThrough(),
    stderr: new PassThrough(),
    json: false,
    color: columns !== undefined,
    terminal: false,
    columns,
  })
}

function release(part: Partial<Release> = {}): Release {
  return {
    ...{ bundle: 'authz', number: 3, bundleDigest: digest, size: 1, manifestDigest: digest, sourceDigest: digest },
    ...{
      form: 'original',
      version: '1.4.2',
      revision: null,
      activatedAt: now - 180_000,
      reason: 'changed',
      kept: true,
    },
    ...part,
  }
}

function look(part: Partial<Look> = {}): Look {
  return {
    ...{ bundle: 'authz', startedAt: now, endedAt: now, outcome: 'unchanged', trigger: 'schedule', version: '1.4.2' },
    ...{ fingerprint: digest, message: null, code: null, failures: 0, nextAt: null },
    ...part,
  }
}

function bundle(part: Partial<BundleStatus> = {}): BundleStatus {
  return {
    ...{ name: 'authz', kind: 'opa', store: 'ghcr.io/acme/policies', follow: 'latest', current: release() },
    ...{ look: look(), looking: false, nextLookAt: now + 42_000, deployments: [], held: null },
    ...{ promotion: null, pin: null, health: 'ok' },
    ...part,
  }
}

function place(name: string, state: Deployment['state'], lastError: string | null = null): PlaceStatus {
  return {
    ...{ bundle: 'authz', place: name, desired: 3, deployed: 3, observed: null, state, attempts: 1 },
    ...{ nextAttemptAt: null, lastError, lastAttemptAt: null, deployedAt: null },
    ...{ forced: 0, forcedDone: 0, autoDeploy: true, switched: null },
  }
}

describe('describeStatus', () => {
  it('is a line per bundle', () => {
    expect(describeStatus([bundle()], now, output())).toEqual([
      'NAME   VERSION  AGE  HEALTH  NEXT LOOK  PLACES',
      'authz  1.4.2    3m   ok      in 42s     -',
    ])
  })

  it('says what is held, and how to go on', () => {
    const hold = { bundle: 'authz', by: 'longshore', at: now, reason: 'the state was rebuilt' }
    const lines = describeStatus([bundle({ held: hold })], now, output())
    expect(lines.slice(2)).toEqual([
      '',
      'authz is not deployed: the state was rebuilt; go on with: longshore resume authz',
    ])
  })

  it('says who holds all of them, where no reason was given', () => {
    const lines = describeStatus([bundle({ held: { bundle: '*', by: 'ann', at: now, reason: '' } })], now, output())
    expect(lines.at(-1)).toBe('authz is not deployed: held by ann; go on with: longshore resume')
  })

  it('says what is pinned', () => {
    const pin = { bundle: 'authz', to: { tag: 'v1' }, by: 'ann', at: now, reason: '' }
    expect(describeStatus([bundle({ pin })], now, output())[1]).toMatch(/^authz {2}1\.4\.2 \(pinned\) /)
  })

  it('fits thirty bundles, some of them unwell, on a screen of 80 by 40', () => {
    const bundles = Array.from({ length: 30 }, (_, index) =>
      bundle({
        name: `teams/platform-engineering/authorization-${index}`,
        health: index < 10 ? 'stale' : 'ok',
        look: look(index < 10 ? { outcome: 'failed', message: `cannot pull: ${'why '.repeat(100)}` } : {}),
        current: release({ version: '1.4.2-rc.1+build.20260101.abcdef0' }),
      }),
    )
    const lines = describeStatus(bundles, now, output(80))
    expect(lines.length).toBeLessThan(40)
    // eslint-disable-next-line no-control-regex
    expect(Math.max(...lines.map((line) => line.replace(/\u001b\[\d+m/g, '').length))).toBeLessThanOrEqual(80)
    expect(lines.at(-1)).toBe('and 5 more: longshore status --json')
  })

  it('cuts nothing where no terminal shows it', () => {
    const name = `teams/platform-engineering/authorization`
    const version = '1.4.2-rc.1+build.20260101.abcdef0'
    const deployments = ['amsterdam', 'frankfurt', 'stockholm'].map((town) => place(town, 'failed'))
    const one = bundle({ name, current: release({ version }), deployments })
    const [, line] = describeStatus([one], now, output())
    expect(line).toContain(`${name}  ${version}  `)
    expect(line).toMatch(/ 0 of 3, amsterdam failed, frankfurt failed, stockholm failed$/)
    expect(describeStatus([one], now, output(200))[1]).toMatch(/ 0 of 3, amsterdam failed, f…/)
  })

  it('says what could not be taken away from a place that left the config, and not what stays on purpose', () => {
    const left = (more: Partial<LeftStatus>): LeftStatus => ({
      ...{ bundle: 'authz', place: 'zones', form: 'layers', path: null, address: '/zones', leftAt: now, deployed: 2 },
      ...{ attempts: 2, nextAttemptAt: now + 60_000, lastError: 'no route', prune: true },
      ...more,
    })
    const lines = describeStatus([bundle()], now, output(), [
      left({ lastError: null, prune: false }),
      left({}),
      left({ nextAttemptAt: null }),
    ])
    expect(lines.slice(-2)).toEqual([
      'authz is not taken away from zones, again in 1m: no route',
      'authz is not taken away from zones, given up after 2 attempts: no route',
    ])
  })

  it('says why a bundle is not well, and which deployment failed', () => {
    const lines = describeStatus(
      [
        bundle({ name: 'a', health: 'stale', look: look({ outcome: 'refused', message: 'data.json is no JSON' }) }),
        bundle({ name: 'b', deployments: [place('prod', 'failed', 'cannot push')] }),
      ],
      now,
      output(),
    )
    expect(lines.slice(3)).toEqual(['', 'a: data.json is no JSON', 'b to prod, given up after 1 attempt: cannot push'])
  })

  it('says once what a bundle waits for that takes what is promoted', () => {
    const terms = { from: 'authz', place: 'staging', delayMs: 0, approval: true, promoted: null }
    const waiting = { release: 4, version: 'v1.5.0', digest, isThere: true, until: null, needsApproval: true }
    const none = { current: null, health: 'empty' } as const
    const failed = (code: string) => look({ outcome: 'failed', code, message: 'nothing was promoted yet' })
    const reasons = (part: Partial<BundleStatus>) =>
      describeStatus([bundle({ ...none, ...part })], now, output()).slice(3)
    const next = 'authz: release 4 (v1.5.0) waits for an approval: longshore approve authz'
    expect(reasons({ look: failed('not_found'), promotion: { ...terms, waiting } })).toEqual([next])
    expect(reasons({ look: failed('io'), promotion: { ...terms, waiting } })).toHaveLength(2)
    expect(reasons({ look: failed('not_found'), promotion: { ...terms, waiting: null } })).toHaveLength(1)
  })

  it('says when a place is tried again', () => {
    const failed = { ...place('prod', 'failed', 'cannot push'), nextAttemptAt: now + 90_000 }
    const lines = describeStatus([bundle({ deployments: [failed] })], now, output())
    expect(lines.at(-1)).toBe('authz to prod, again in 1m: cannot push')
  })

  it('has a dash for what is not there yet', () => {
    const lines = describeStatus(
      [bundle({ current: null, look: null, nextLookAt: null, health: 'empty' })],
      now,
      output(),
    )
    expect(lines[1]).toBe('authz  -        -    empty   when asked  -')
  })

  it('says plainly that nothing is configured', () => {
    expect(describeStatus([], now, output())).toEqual(['no bundles are configured'])
  })
})

describe('describePlaces', () => {
  it('counts what is done and names the others', () => {
    expect(describePlaces([])).toBe('-')
    expect(describePlaces([place('a', 'done'), place('b', 'done')])).toBe('2 done')
    expect(describePlaces([place('a', 'done'), place('b', 'failed')])).toBe('1 of 2, b failed')
    expect(describePlaces([place('a', 'done'), { ...place('b', 'drifted'), autoDeploy: false }])).toBe(
      '1 of 2, b drifted',
    )
  })
})
