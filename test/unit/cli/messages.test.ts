import { describe, expect, it } from 'vitest'
import { describeMessages, describeResent } from '../../../src/cli/messages.ts'
import { runCommand } from '../../../src/cli/program.ts'
import { messageOf } from '../server/support.ts'
import { createContext } from './fake-context.ts'

describe('messages', () => {
  it('are a line each, with what one needs to send them again', () => {
    const { output } = createContext()
    const waiting = messageOf('team/a', { state: 'waiting', attempts: 0, lastError: null, queuedAt: 60_000 })
    expect(describeMessages([messageOf('authz'), waiting], 3_600_001, output)).toEqual([
      'ID        BUNDLE  EVENT             STATE    SINCE  TRIES  LAST ERROR',
      'events/7  authz   deployments.held  parked   1h     3      no',
      'events/7  team/a  deployments.held  waiting  59m    0      -',
    ])
    expect(describeMessages([], 1, output)).toEqual(['nothing waits, nothing is parked'])
  })
})

describe('resend', () => {
  it.each([[[]], [['events/41', '--all']], [['events/x']], [['events/0']]])('%j is wrong use', async (args) => {
    const context = createContext()
    expect(await runCommand(['resend', ...args, '--server', 'http://127.0.0.1:1'], '0.0.0', context)).toBe(2)
    expect(context.shown()).toMatch(/name a message|is no PUBLISHER/)
  })
})

it('says that nothing is parked, where nothing is sent again', () => {
  expect(describeResent(2, 'events')).toBe('2 messages will be sent again')
  expect(describeResent(0, 'evnts')).toBe('nothing of evnts is parked; `longshore messages` shows what is there')
  expect(describeResent(0, undefined)).toBe('nothing is parked; `longshore messages` shows what is there')
})
