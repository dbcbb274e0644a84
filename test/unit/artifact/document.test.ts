import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const root = join(import.meta.dirname, '../../..')
const document = readFileSync(join(root, 'docs/artifacts.md'), 'utf8')
const mention = /(e2e )?`([\w-]+\.test\.ts)`(?:: ([^;|()\n]+))?/g

/** Rows of the tables whose last column is headed `test`. */
function rows(): string[][] {
  const tables = document.split(/\n\n+/).filter((block) => /^\|.*\| test \|/m.test(block))
  return tables.flatMap((table) =>
    table
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .slice(1)
      .map(cellsOf),
  )
}

function cellsOf(line: string): string[] {
  return line.slice(2, -2).split(' | ')
}

/** Titles as they stand in the source, of tests and groups; those in tables of cases too. */
function isIn(folder: string, file: string, title: string): boolean {
  const source = readFileSync(join(root, folder, file), 'utf8').replaceAll("\\'", "'")
  return new RegExp(`['"]${RegExp.escape(title)}`).test(source)
}

it('the tables of what comes in and goes out have a test in each row', () => {
  expect(rows().length).toBeGreaterThan(20)
  const bare = rows().filter((cells) =>
    [...cells.at(-1)!.matchAll(mention)].every(([, , , title]) => title === undefined),
  )
  expect(bare.map(([what]) => what)).toEqual([])
})

it('the page on artifacts names only tests that there are', () => {
  const mentions = [...document.matchAll(mention)]
  const wrong = mentions.filter(([, e2e, file, title]) => {
    return !isIn(e2e === undefined ? 'test/unit/artifact' : 'test/e2e', file!, title?.trim().replace(/\.$/, '') ?? '')
  })
  expect(wrong.map(([text]) => text)).toEqual([])
})
