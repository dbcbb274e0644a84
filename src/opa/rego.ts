const isName = /^[\p{L}_][\p{L}\p{N}_]*$/u

/** Characters; nobody writes a longer package. */
const maxStatement = 64 * 1024

/**
 * The package of a Rego file as its path under `data`, `['a', 'b c']` for `package a["b c"]`. Undefined where the file
 * does not begin with one, which OPA refuses. Only this line is read: whether the rest is Rego, OPA itself must say.
 * https://www.openpolicyagent.org/docs/policy-reference#grammar
 */
export function packageOf(source: string): string[] | undefined {
  const start = visibleAt(source, 0, 'comments')
  // A search with an end: a pattern that repeats something millions of times would use up the stack.
  const statement = source.slice(start, start + maxStatement)
  if (!/^package(?![\p{L}\p{N}_])/u.test(statement)) return undefined
  const first = /[\p{L}_][\p{L}\p{N}_]*/uy
  first.lastIndex = visibleAt(statement, 'package'.length)
  const head = first.exec(statement)
  if (head === null) return undefined
  const path = [head[0]]
  const next = /\.([\p{L}_][\p{L}\p{N}_]*)|\[[^\S\n]*("(?:[^"\\\n]|\\.)*"|`[^`]*`)[^\S\n]*\]/uy
  next.lastIndex = first.lastIndex
  for (let part = next.exec(statement); part !== null; part = next.exec(statement)) {
    const name = part[1] ?? stringOf(part[2]!)
    if (name === undefined) return undefined
    path.push(name)
  }
  return path
}

/** Where blanks, and comments, end. Not one pattern: what matches nested repetitions of blanks in two ways takes for ever. */
function visibleAt(source: string, from: number, comments?: 'comments'): number {
  const visible = /\S/g
  visible.lastIndex = from
  for (;;) {
    const at = visible.exec(source)?.index ?? source.length
    if (comments === undefined || source[at] !== '#') return at
    const end = source.indexOf('\n', at)
    if (end === -1) return source.length
    visible.lastIndex = end
  }
}

/** `["a", "b c"]` → `a["b c"]`, as a policy would write it after `package`. */
export function showPackage(path: readonly string[]): string {
  const [first = '', ...rest] = path
  return [first, ...rest.map((part) => (isName.test(part) ? `.${part}` : `[${JSON.stringify(part)}]`))].join('')
}

/** `["a", "b c"]` → `data.a["b c"]`. */
export function showDataPath(path: readonly string[]): string {
  return showPackage(['data', ...path])
}

function stringOf(literal: string): string | undefined {
  if (literal.startsWith('`')) return literal.slice(1, -1)
  try {
    return JSON.parse(literal) as string
  } catch {
    return undefined
  }
}
