/** The known word that was probably meant: the same but for case, `-` and `_`, or a few slips away; undefined when none is near. */
export function nearestWord(word: string, known: readonly string[]): string | undefined {
  const plain = simplify(word)
  const same = known.find((candidate) => simplify(candidate) === plain)
  if (same !== undefined) return same
  const most = (candidate: string) => Math.max(1, Math.floor(Math.min(word.length, candidate.length) / 3))
  const ranked = known
    // Each character more is a slip: what is much longer need not be compared, which takes memory for each of its characters.
    .filter((candidate) => Math.abs(plain.length - simplify(candidate).length) <= most(candidate))
    .map((candidate) => ({ candidate, slips: distance(plain, simplify(candidate)) }))
    .filter(({ candidate, slips }) => slips <= most(candidate))
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
