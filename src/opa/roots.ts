import { IntegrityError } from '../lib/errors.ts'

/** How many roots, and how many characters of each, a message shows. */
const shownRoots = 10
const shownLength = 200

/**
 * Roots say which parts of OPA's document tree a bundle owns: `a/b` owns `data.a.b` and what is below, `''` owns all.
 * https://www.openpolicyagent.org/docs/management-bundles#bundle-file-format
 */
export function normalizeRoots(roots: readonly string[], file: string): string[] {
  // The look behind keeps a long run of slashes from being tried from each of them.
  const bare = roots.map((root) => root.replace(/^\/+|(?<!\/)\/+$/g, ''))
  const overlap = findOverlap(bare)
  if (overlap === undefined) return bare
  const [one, other] = overlap
  throw new IntegrityError('bad_bundle', `${file} has roots that overlap: ${show(one)} and ${show(other)}`, {
    file,
    hint: 'Name each part of the tree once: one root must not lie within another.',
  })
}

/** A root, or what leads to some. */
interface Part {
  root?: string
  below: Map<string, Part>
}

/** Two roots that overlap, in the order of the list. Part by part, since comparing each with each takes too long for many. */
function findOverlap(roots: readonly string[]): [string, string] | undefined {
  const top: Part = { below: new Map() }
  for (const root of roots) {
    let part = top
    for (const name of root === '' ? [] : root.split('/')) {
      if (part.root !== undefined) return [part.root, root]
      let next = part.below.get(name)
      if (next === undefined) part.below.set(name, (next = { below: new Map() }))
      part = next
    }
    const known = anyRoot(part)
    if (known !== undefined) return [known, root]
    part.root = root
  }
  return undefined
}

/** That of the part itself or one below it. */
function anyRoot(from: Part): string | undefined {
  let part: Part | undefined = from
  while (part !== undefined && part.root === undefined) part = part.below.values().next().value
  return part?.root
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
  const more = roots.length > shownRoots ? `, and ${roots.length - shownRoots} more` : ''
  return `[${roots.slice(0, shownRoots).map(show).join(', ')}${more}]`
}

function contains(root: readonly string[], path: readonly string[]): boolean {
  if (root.length === 1 && root[0] === '') return true
  return root.length <= path.length && root.every((part, at) => part === path[at])
}

function show(root: string): string {
  return JSON.stringify(root.length > shownLength ? `${root.slice(0, shownLength)}…` : root)
}
