import { describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { access } from '../../../src/state/operations/operation.ts'
import { maxRememberedAnswers, rememberCatalog } from '../../../src/state/remembered.ts'
import type { State } from '../../../src/state/state.ts'
import { manifestRow } from './open.ts'

const digest = digestOf('blob')

/** A state that counts how often it is asked, and answers when it is told to. */
function setUp() {
  const asked: string[] = []
  let answered = Promise.resolve()
  const answers: Record<string, unknown> = {
    'catalog.manifest': manifestRow('one'),
    'catalog.blob': { size: 4, usedAt: 1 },
    'catalog.parts': [{ digest, size: 4 }],
    'catalog.useBlob': true,
  }
  const parts = Object.entries(access).map(([group, methods]) => {
    const method = (name: string) => async () => {
      asked.push(`${group}.${name}`)
      await answered
      return answers[`${group}.${name}`]
    }
    return [group, Object.fromEntries(Object.keys(methods).map((name) => [name, method(name)]))]
  })
  const state = rememberCatalog(Object.fromEntries(parts) as State)
  const look = async () => {
    await state.catalog.manifest('a', 'v1')
    await state.catalog.blob('a', digest)
    await state.catalog.parts('a', digest)
    return asked.splice(0).filter((name) => ['catalog.manifest', 'catalog.blob', 'catalog.parts'].includes(name)).length
  }
  return {
    ...{ state, asked, answers, look },
    hold: () => {
      const held = Promise.withResolvers<void>()
      answered = held.promise
      return () => {
        answered = Promise.resolve()
        held.resolve()
      }
    },
    write: (name: string) => {
      const [group, method] = name.split('.') as [keyof State, string]
      return (state[group] as unknown as Record<string, () => Promise<unknown>>)[method]!()
    },
  }
}

const writes = Object.entries(access).flatMap(([group, methods]) =>
  Object.entries(methods).flatMap(([name, kind]) => (kind === 'write' ? [`${group}.${name}`] : [])),
)
const harmless = [
  'catalog.useBlob',
  'catalog.indexWritten',
  'bundles.remember',
  'bundles.saveLook',
  ...writes.filter((name) => /^(deployments|decisions|placements|promotions|outbox|facts)\./.test(name)),
]

describe('what the catalog answered', () => {
  it('is remembered', async () => {
    const { look } = setUp()
    expect(await look()).toBe(3)
    expect(await look()).toBe(0)
  })

  it.each(writes.filter((name) => !harmless.includes(name)))('is asked anew after %s', async (name) => {
    const { look, write } = setUp()
    await look()
    await write(name)
    expect(await look()).toBe(3)
  })

  it.each(harmless)('stands after %s', async (name) => {
    const { look, write } = setUp()
    await look()
    await write(name)
    expect(await look()).toBe(0)
  })

  it('is not remembered when it was on its way while something was written', async () => {
    const { state, asked, look, hold, write } = setUp()
    const release = hold()
    const reading = state.catalog.manifest('a', 'v1')
    const writing = write('catalog.removeTag')
    const during = state.catalog.blob('a', digest)
    release()
    await Promise.all([reading, writing, during])
    asked.length = 0
    expect(await look()).toBe(3)
  })

  it('is asked anew after a write that failed: it may have been done', async () => {
    const { state, answers, look } = setUp()
    await look()
    answers['catalog.removeTag'] = Promise.reject(new Error('the disk'))
    await expect(state.catalog.removeTag('a', 'v1', 1)).rejects.toThrow('the disk')
    expect(await look()).toBe(3)
  })

  it('is nothing where there was nothing: it may come by itself', async () => {
    const { answers, look } = setUp()
    answers['catalog.manifest'] = answers['catalog.blob'] = answers['catalog.parts'] = undefined
    await look()
    expect(await look()).toBe(3)
  })

  it('knows a later use of a blob', async () => {
    const { state } = setUp()
    await state.catalog.blob('a', digest)
    await state.catalog.useBlob('a', digest, 9)
    expect(await state.catalog.blob('a', digest)).toEqual({ size: 4, usedAt: 9 })
    await state.catalog.useBlob('a', digest, 7)
    expect(await state.catalog.blob('a', digest)).toEqual({ size: 4, usedAt: 9 })
  })

  it('is bounded', async () => {
    const { state, asked } = setUp()
    for (let tag = 0; tag <= maxRememberedAnswers; tag++) await state.catalog.manifest('a', `v${tag}`)
    asked.length = 0
    await state.catalog.manifest('a', `v${maxRememberedAnswers}`)
    expect(asked).toHaveLength(0)
    await state.catalog.manifest('a', 'v0')
    expect(asked).toHaveLength(1)
  })
})
