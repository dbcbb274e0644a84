import { describe, expect, it } from 'vitest'
import type { Event } from '../../src/model/event.ts'
import type { Publisher, Telling } from '../../src/publishers/publisher.ts'
import type { Reply } from '../support/scripted-server.ts'

export interface PublisherUnderTest {
  publisher: Publisher
  /** Bodies that the receiver got, as JSON. */
  received: () => unknown[]
}

const signal = new AbortController().signal

export function tellingOf(event: Partial<Event> = {}): Telling {
  const about = { at: Date.UTC(2026, 0, 1), bundle: 'authz', place: 'prod', by: null }
  const data = {
    release: 4,
    version: 'v2',
    from: 3,
    fromVersion: 'v1',
    attempt: 1,
    failures: 0,
    begunAt: 0,
    tookMs: 3000,
  }
  return {
    id: '41-1767225600000',
    source: 'urn:uuid:6fd6f3a0-0000-4000-8000-000000000000',
    event: { seq: 41, type: 'deployment.succeeded', ...about, data, ...event },
  }
}

/** What every publisher promises. `open` gives one whose receiver answers so. */
export function testPublisher(kind: string, open: (reply?: Reply) => Promise<PublisherUnderTest>): void {
  describe(`publisher ${kind}`, () => {
    it('tells what happened, once for each time that it is asked to', async () => {
      const { publisher, received } = await open()
      await publisher.publish(tellingOf(), signal)
      await publisher.publish(tellingOf(), signal)
      expect(received()).toHaveLength(2)
      expect(received()[0]).toEqual(received()[1])
      expect(JSON.stringify(received()[0])).toContain('v2')
    })

    it.each([
      [500, 'unavailable', true],
      [429, 'rate_limited', true],
      [400, 'denied', false],
      [404, 'not_found', false],
      [302, 'redirect', false],
    ])('fails where the receiver answers %i', async (status, code, retryable) => {
      const { publisher } = await open({ status, headers: { 'Retry-After': '7', Location: '/elsewhere' } })
      await expect(publisher.publish(tellingOf(), signal)).rejects.toMatchObject({
        ...{ name: 'RemoteError', code, retryable, retryAfterMs: 7000 },
        message: expect.stringContaining(`answered ${status}`) as string,
      })
    })

    it('fails where nobody answers, and where it takes too long', async () => {
      const dropping = await open({ drop: true })
      await expect(dropping.publisher.publish(tellingOf(), signal)).rejects.toMatchObject({ retryable: true })
      const hanging = await open({ hang: true })
      await expect(hanging.publisher.publish(tellingOf(), signal)).rejects.toMatchObject({ code: 'timeout' })
    })

    it('stops when it is told to', async () => {
      const { publisher, received } = await open()
      const aborted = AbortSignal.abort(new Error('enough'))
      await expect(publisher.publish(tellingOf(), aborted)).rejects.toThrow('enough')
      expect(received()).toEqual([])
    })

    it('says who it tells, and nothing that lets one in', async () => {
      const { publisher } = await open({ status: 403, body: 'no, hunter2hunter2' })
      expect(publisher.name).toMatch(/^127\.0\.0\.1:\d+$/)
      const failed = await publisher.publish(tellingOf(), signal).catch((error: unknown) => error as Error)
      expect(failed).toBeInstanceOf(Error)
      expect((failed as Error).message).not.toContain('hunter2hunter2')
    })
  })
}
