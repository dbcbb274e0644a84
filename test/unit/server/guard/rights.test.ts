import { expect, it } from 'vitest'
import { readRights } from '../../../../src/server/guard/rights.ts'

it.each([
  ['policies/*', ['policies/a', 'policies/a/b', 'policies/'], ['policies', 'xpolicies/a']],
  ['*/prod', ['a/prod', 'a/b/prod'], ['prod', 'a/prod/b']],
  ['team-*/*/prod', ['team-a/x/prod', 'team-/y/z/prod'], ['team-a/prod', 'team-a/x/test', 'team/x/prod']],
  ['a*b*c', ['abc', 'axbxc', 'abbcbc'], ['ac', 'axxc', 'acb', 'abxd', 'bc']],
  ['*a*', ['a', 'bab'], ['', 'bbb']],
  ['a*a', ['aa', 'aba'], ['a']],
  ['a*b*b', ['abb', 'abxb'], ['ab']],
])('%s covers what it says, and nothing else', (pattern, covered, others) => {
  const may = readRights([{ action: 'push', pattern }])
  expect(covered.filter((target) => !may('push', target))).toEqual([])
  expect(others.filter((target) => may('push', target))).toEqual([])
  expect(may('delete', covered[0])).toBe(false)
})
