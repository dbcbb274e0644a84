import { expect, it } from 'vitest'
import { Redactor } from '../../../src/lib/redact.ts'
import { AttemptLog } from '../../../src/reconcile/attempt-log.ts'
import { FakeClock } from '../../support/clock.ts'

it('keeps each line with the seconds since the attempt began, without secrets and control characters', async () => {
  const [clock, redactor] = [new FakeClock(1_000_000), new Redactor()]
  redactor.add('hunter2')
  const log = new AttemptLog(clock, redactor)
  log.say('sent 3 blobs')
  await clock.advance(1_250)
  log.say('the server said:\r\n\n\u001b[31mhello hunter2\n')
  expect(log.lines).toEqual(['0.0 s  sent 3 blobs', '1.3 s  the server said:', '1.3 s   [31mhello ***'])
})

it('keeps the beginning and the end of what is too long, and says how much is left out', () => {
  const log = new AttemptLog(new FakeClock(0), new Redactor())
  for (let at = 0; at < 1_000; at++) log.say(`line ${at}`)
  log.say('x'.repeat(5_000))
  const { lines } = log
  expect(lines[0]).toBe('0.0 s  line 0')
  expect(lines.at(-1)).toMatch(/^0\.0 s {2}x{1000,1100}$/)
  const gap = lines.findIndex((line) => /^… \d+ lines are left out …$/.test(line))
  expect(lines[gap - 1]).toBe(`0.0 s  line ${gap - 1}`)
  const leftOut = Number(/\d+/.exec(lines[gap]!)![0])
  expect(lines.length - 1 + leftOut).toBe(1_001)
  expect(lines.join('\n').length).toBeLessThan(10_000)
})
