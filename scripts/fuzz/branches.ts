// Which branches of a file ran, from V8's counts: both ways of every if, ?:, &&, || and ??, and every case.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Profiler } from 'node:inspector'
import ts from 'typescript'

export interface Branches {
  /** From the repository's root. */
  file: string
  covered: number
  total: number
  /** Lines of those that did not run. */
  missed: number[]
}

type Counts = readonly Profiler.CoverageRange[]

/** For the files whose paths end in one of `files`. V8 counts in the text as Node runs it, where types have become blanks of the same length. */
export function branchesOf(scripts: readonly Profiler.ScriptCoverage[], files: readonly string[]): Branches[] {
  return files.map((file) => {
    const script = scripts.find(({ url }) => url.endsWith(`/${file}`))
    if (script === undefined) return { file, covered: 0, total: 1, missed: [1] }
    const ranges = script.functions.flatMap((one) => one.ranges)
    // The smallest first: the first that holds a place is the one that counts.
    const counts = ranges.sort((a, b) => a.endOffset - a.startOffset - (b.endOffset - b.startOffset))
    return countBranches(file, readFileSync(fileURLToPath(script.url), 'utf8'), counts)
  })
}

function countBranches(file: string, text: string, counts: Counts): Branches {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const found: { ran: boolean; line: number }[] = []
  const add = (node: ts.Node, ran: boolean) => {
    found.push({ ran, line: source.getLineAndCharacterOfPosition(node.getStart()).line + 1 })
  }
  const visit = (node: ts.Node): void => {
    for (const { at, ran } of armsOf(node, counts)) add(at, ran)
    ts.forEachChild(node, visit)
  }
  visit(source)
  const missed = found.filter(({ ran }) => !ran).map(({ line }) => line)
  return { file, covered: found.length - missed.length, total: found.length, missed: [...new Set(missed)] }
}

interface Arm {
  at: ts.Node
  ran: boolean
}

function armsOf(node: ts.Node, counts: Counts): Arm[] {
  const times = (inner: ts.Node) => countAt(counts, inner.getStart())
  const arm = (inner: ts.Node): Arm => ({ at: inner, ran: times(inner) > 0 })
  // What has no text of its own ran when the whole ran more often than the part.
  const rest = (inner: ts.Node): Arm => ({ at: node, ran: times(node) > times(inner) })
  if (ts.isIfStatement(node)) {
    return [
      arm(node.thenStatement),
      node.elseStatement === undefined ? rest(node.thenStatement) : arm(node.elseStatement),
    ]
  }
  if (ts.isConditionalExpression(node)) return [arm(node.whenTrue), arm(node.whenFalse)]
  if (ts.isCaseOrDefaultClause(node)) return node.statements.length === 0 ? [] : [arm(node.statements[0]!)]
  if (ts.isBinaryExpression(node) && isLogical(node.operatorToken.kind)) return [arm(node.right), rest(node.right)]
  return []
}

function isLogical(kind: ts.SyntaxKind): boolean {
  return [
    ts.SyntaxKind.AmpersandAmpersandToken,
    ts.SyntaxKind.BarBarToken,
    ts.SyntaxKind.QuestionQuestionToken,
  ].includes(kind)
}

function countAt(counts: Counts, offset: number): number {
  return counts.find(({ startOffset, endOffset }) => startOffset <= offset && offset < endOffset)?.count ?? 0
}
