import { describe, expect, it } from 'vitest'
import { nearestWord } from '../../../src/lib/nearest.ts'

const known = ['follow', 'public_url', 'listen', 'keep', 'to', 'stores', 'store']

describe('nearestWord', () => {
  it.each([
    ['folow', 'follow'],
    ['follwo', 'follow'],
    ['publicUrl', 'public_url'],
    ['public-url', 'public_url'],
    ['Listen', 'listen'],
    ['sotre', 'store'],
    ['kep', 'keep'],
  ])('%s was meant as %s', (word, meant) => {
    expect(nearestWord(word, known)).toBe(meant)
  })

  it.each(['zebra', '', 'a', 'registries'])('%j was meant as none', (word) => {
    expect(nearestWord(word, known)).toBeUndefined()
  })
})
