import { Api, type Target } from './api.ts'

export type Workflow = 'pull' | 'push' | 'discovery' | 'management'

/** One thing that a registry does or does not do; named in `docs/conformance.md`. */
export interface Check {
  name: string
  workflow: Workflow
  /** Throws when the registry does not do it. */
  run(api: Api): Promise<void>
}

export function checksOf(workflow: Workflow, runs: Record<string, (api: Api) => Promise<void>>): Check[] {
  return Object.entries(runs).map(([name, run]) => ({ name, workflow, run }))
}

/** Runs every check and tells which do not hold, for a registry that is not ours to mend. */
export async function failingChecks(
  checks: readonly Check[],
  target: Target,
): Promise<{ name: string; why: string }[]> {
  const failing: { name: string; why: string }[] = []
  for (const check of checks) {
    try {
      await check.run(new Api(target))
    } catch (error) {
      failing.push({ name: check.name, why: (error as Error).message })
    }
  }
  return failing
}
