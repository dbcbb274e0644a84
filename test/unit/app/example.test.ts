import { afterEach, beforeEach, expect, it } from 'vitest'
import { exampleRepository, seedExample } from '../../../src/app/example.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { LocalRepository } from '../../../src/registry/types.ts'
import { from, openRegistry, type Opened } from '../registry/open.ts'

let opened: Opened
let repository: LocalRepository

beforeEach(async () => {
  opened = await openRegistry()
  repository = opened.registry.repository(exampleRepository)
})
afterEach(() => opened.close())

const seed = () => seedExample(opened.registry, opened.state.facts, silentLogger)
const tags = () => repository.tagPage({ limit: 10 })

it('puts the example there, though a start before was ended half-way', async () => {
  await repository.ingestBlob(from('half of it'), {})
  await seed()
  expect(await tags()).toEqual(['1.0.0', 'latest'])
})

it('leaves alone what somebody pushed there or took away', async () => {
  await seed()
  const { digest } = (await repository.head('latest'))!
  await repository.removeTag('1.0.0')
  await seed()
  expect(await tags()).toEqual(['latest'])
  await repository.removeManifest(digest)
  await seed()
  expect(await tags()).toEqual([])
})
