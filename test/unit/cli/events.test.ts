import { expect, it } from 'vitest'
import { describeEvents, noneOf } from '../../../src/cli/events.ts'
import type { Event } from '../../../src/model/event.ts'

const now = 1_000_000

function event(more: Partial<Event>): Event {
  return {
    seq: 1,
    at: now - 180_000,
    type: 'release.created',
    bundle: 'authz',
    place: null,
    by: null,
    data: {},
    ...more,
  }
}

it('says what happened, where, by whom and why, on a line each', () => {
  const log = ['0.0 s  sent 3 blobs', '1.2 s  put \u001b[31mit']
  const data = { release: 4, version: 'v1.2.3', attempt: 2, error: 'connection\nrefused', log }
  const events = [
    event({ type: 'deployment.failed', place: 'prod', data }),
    event({ type: 'auto_deploy.changed', by: 'ann', data: { on: false, reason: 'change freeze' } }),
    event({}),
  ]
  const lines = [
    '3m ago  deployment.failed at prod: release 4, v1.2.3, attempt 2: connection refused',
    '3m ago  auto_deploy.changed: off, by ann: change freeze',
    '3m ago  release.created',
  ]
  expect(describeEvents(events, now, false)).toEqual(lines)
  const withLog = [lines[0], '    0.0 s  sent 3 blobs', '    1.2 s  put  [31mit', ...lines.slice(1)]
  expect(describeEvents(events, now, true)).toEqual(withLog)
})

it('says that there is nothing, or nothing of that place', () => {
  expect(noneOf('authz', undefined)).toBe('nothing has happened to authz yet')
  expect(noneOf('authz', 'prdo')).toBe(
    'nothing has happened to authz at prdo; `longshore status --json` has the names of its places',
  )
})
