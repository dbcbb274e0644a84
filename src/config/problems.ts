import type { Problem } from '../lib/errors.ts'

/** One line for each problem, in the order of the file: `longshore.yaml:12: bundles.authz.follow: …`, and what to do below it. */
export function formatProblems(problems: readonly Problem[]): string {
  return problems.map(formatProblem).join('\n')
}

function formatProblem({ file, line, key, message, hint }: Problem): string {
  const place = [file, line].filter((part) => part !== undefined).join(':')
  const head = [place, key].filter((part) => part !== undefined && part !== '').join(': ')
  return `${head === '' ? '' : `${head}: `}${message}${hint === undefined ? '' : `\n    ${hint}`}`
}

export function sortProblems(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0))
}
