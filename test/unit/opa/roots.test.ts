import { describe, expect, it } from 'vitest'
import { hasRootBelow, isUnderRoots, rootsOverlap } from '../../../src/opa/roots.ts'

describe('roots', () => {
  it.each([
    ['a', 'a', true],
    ['a', 'a/b', true],
    ['a/b', 'a', true],
    ['', 'a', true],
    ['a', 'ab', false],
    ['a/b', 'a/c', false],
    ['a/b', 'b', false],
  ])('%j and %j overlap: %s', (a, b, expected) => {
    expect(rootsOverlap(a, b)).toBe(expected)
  })

  it.each([
    [[''], [], true],
    [[''], ['a'], true],
    [['a'], ['a'], true],
    [['a'], ['a', 'b'], true],
    [['a/b'], ['a'], false],
    [['a'], ['ab'], false],
    [['a'], [], false],
    [['x', 'a'], ['a'], true],
    [[], ['a'], false],
  ])('%j cover %j: %s', (roots, path, expected) => {
    expect(isUnderRoots(roots, path)).toBe(expected)
  })

  it.each([
    [['a/b'], ['a'], true],
    [['a/b'], [], true],
    [['a/b'], ['c'], false],
    [['ab'], ['a'], false],
  ])('%j have one below %j: %s', (roots, path, expected) => {
    expect(hasRootBelow(roots, path)).toBe(expected)
  })
})
