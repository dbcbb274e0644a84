/** The known word that was probably meant: the same but for case, `-` and `_`, or a few slips away; undefined when none is near. */
export function nearestWord(word: string, known: readonly string[]): string | undefined {
  const plain = simplify(word)
  const same = known.find((candidate) => simplify(candidate) === plain)
  if (same !== undefined) return same
  const ranked = known
    .map((candidate) => ({ candidate, slips: distance(plain, simplify(candidate)) }))
    .filter(({ candidate, slips }) => slips <= Math.max(1, Math.floor(Math.min(word.length, candidate.length) / 3)))
    .sort((a, b) => a.slips - b.slips)
  return ranked[0]?.candidate
}

/** ` Did you mean …?`, or all that is known where nothing is near. */
export function suggest(word: string, known: readonly string[]): string {
  const nearest = nearestWord(word, known)
  if (nearest !== undefined) return `did you mean \`${nearest}\`?`
  return known.length === 0 ? 'nothing is known here' : `known: ${known.map((name) => `\`${name}\``).join(', ')}`
}

function simplify(word: string): string {
  return word.toLowerCase().replace(/[-_]/g, '')
}

/** Characters to insert, remove, replace, or swap with the next. https://en.wikipedia.org/wiki/Damerau-Levenshtein_distance */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      const best = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, replaced)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row.push(swapped ? Math.min(best, rows[i - 2]![j - 2]! + 1) : best)
    }
    rows.push(row)
  }
  return rows[a.length]![b.length]!
}
