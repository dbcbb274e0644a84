import { getEventListeners } from 'node:events'
import { expect, it } from 'vitest'
import { linkTo } from '../../../src/lib/linked.ts'

it('is aborted with any of the others, with its reason', () => {
  const [one, two] = [new AbortController(), new AbortController()]
  const linked = linkTo(one.signal, undefined, two.signal)
  expect(linked.signal.aborted).toBe(false)
  const reason = new Error('enough')
  two.abort(reason)
  expect(linked.signal.reason).toBe(reason)
})

it('is aborted from the start where one of the others is', () => {
  const reason = new Error('before')
  expect(linkTo(new AbortController().signal, AbortSignal.abort(reason)).signal.reason).toBe(reason)
})

it('leaves the others alone when it is aborted itself', () => {
  const one = new AbortController()
  const linked = linkTo(one.signal)
  linked.abort(new Error('late'))
  expect([linked.signal.aborted, one.signal.aborted]).toEqual([true, false])
})

it('is deaf, and leaves nothing behind, once it is unlinked', () => {
  const one = new AbortController()
  const linked = linkTo(one.signal)
  expect(getEventListeners(one.signal, 'abort')).toHaveLength(1)
  linked.unlink()
  expect(getEventListeners(one.signal, 'abort')).toEqual([])
  one.abort()
  expect(linked.signal.aborted).toBe(false)
})
