import { IntegrityError } from '../lib/errors.ts'

/**
 * Roots say which parts of OPA's document tree a bundle owns: `a/b` owns `data.a.b` and what is below, `''` owns all.
 * https://www.openpolicyagent.org/docs/management-bundles#bundle-file-format
 */
export function normalizeRoots(roots: readonly string[], file: string): string[] {
  const bare = roots.map((root) => root.replace(/^\/+|\/+$/g, ''))
  for (const [at, root] of bare.entries()) {
    const other = bare.slice(at + 1).find((candidate) => rootsOverlap(root, candidate))
    if (other === undefined) continue
    throw new IntegrityError('bad_bundle', `${file} has roots that overlap: ${show(root)} and ${show(other)}`, {
      file,
      hint: 'Name each part of the tree once: one root must not lie within another.',
    })
  }
  return bare
}

export function rootsOverlap(a: string, b: string): boolean {
  return contains(a.split('/'), b.split('/')) || contains(b.split('/'), a.split('/'))
}

/** Whether the path (`['a', 'b']` for `data.a.b`) belongs to one of the roots. */
export function isUnderRoots(roots: readonly string[], path: readonly string[]): boolean {
  return roots.some((root) => contains(root.split('/'), path.length === 0 ? [''] : path))
}

/** Whether there is a root somewhere below the path. */
export function hasRootBelow(roots: readonly string[], path: readonly string[]): boolean {
  return path.length === 0 || roots.some((root) => contains(path, root.split('/')))
}

export function showRoots(roots: readonly string[]): string {
  return `[${roots.map(show).join(', ')}]`
}

function contains(root: readonly string[], path: readonly string[]): boolean {
  if (root.length === 1 && root[0] === '') return true
  return root.length <= path.length && root.every((part, at) => part === path[at])
}

function show(root: string): string {
  return JSON.stringify(root)
}
