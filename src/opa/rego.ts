const isName = /^[\p{L}_][\p{L}\p{N}_]*$/u

/**
 * The package of a Rego file as its path under `data`, `['a', 'b c']` for `package a["b c"]`. Undefined where the file
 * does not begin with one, which OPA refuses. Only this line is read: whether the rest is Rego, OPA itself must say.
 * https://www.openpolicyagent.org/docs/policy-reference#grammar
 */
export function packageOf(source: string): string[] | undefined {
  const start = /^(?:\s|#[^\n]*(?:\n|$))*package(?![\p{L}\p{N}_])/u.exec(source)
  if (start === null) return undefined
  const first = /[^\S\n]*(?:\n\s*)*([\p{L}_][\p{L}\p{N}_]*)/uy
  first.lastIndex = start[0].length
  const head = first.exec(source)
  if (head === null) return undefined
  const path = [head[1]!]
  const next = /\.([\p{L}_][\p{L}\p{N}_]*)|\[[^\S\n]*("(?:[^"\\\n]|\\.)*"|`[^`]*`)[^\S\n]*\]/uy
  next.lastIndex = first.lastIndex
  for (let part = next.exec(source); part !== null; part = next.exec(source)) {
    const name = part[1] ?? stringOf(part[2]!)
    if (name === undefined) return undefined
    path.push(name)
  }
  return path
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
