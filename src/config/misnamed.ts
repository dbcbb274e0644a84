import type { z } from 'zod'
import type { Path } from './document.ts'
import type { PlacedProblem } from './issues.ts'

type Issue = z.core.$ZodIssue

/** The file with names that can stand, so that what is below a wrong one is looked at too. */
export interface Renamed {
  value: unknown
  /** As it stands in the file. */
  restore: (problem: PlacedProblem) => PlacedProblem
  restorePath: (path: Path) => Path
}

/** A name, a host, a bundle: right wherever a name is asked for, and nobody's. https://www.rfc-editor.org/rfc/rfc6761#section-6.4 */
const standIn = (at: number) => `misnamed-${at}.invalid`

export function isMisnamed({ code }: Issue): boolean {
  return code === 'invalid_key'
}

/** Gives another name to each key that such an issue is about; in a copy, where there is any. */
export function renameKeys(value: unknown, issues: readonly Issue[]): Renamed {
  const copy = issues.length === 0 ? value : structuredClone(value)
  const names = new Map<string, string>()
  for (const { path } of issues) {
    const name = standIn(names.size)
    const parent = path.slice(0, -1).reduce<unknown>((part, key) => (part as Record<PropertyKey, unknown>)[key], copy)
    rename(parent as Record<PropertyKey, unknown>, path.at(-1)!, name)
    names.set(name, String(path.at(-1)))
  }
  const restorePath = (path: Path) => path.map((part) => names.get(String(part)) ?? part)
  const restoreText = (text: string) =>
    [...names].reduce((said, [name, written]) => said.replaceAll(name, () => written), text)
  return {
    value: copy,
    restorePath,
    restore: ({ path, message, hint }) => ({
      path: restorePath(path),
      message: restoreText(message),
      ...(hint === undefined ? {} : { hint: restoreText(hint) }),
    }),
  }
}

function rename(parent: Record<PropertyKey, unknown>, from: PropertyKey, to: string): void {
  parent[to] = parent[from]
  Reflect.deleteProperty(parent, from)
}
