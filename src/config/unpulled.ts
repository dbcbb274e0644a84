import { deployerTypes, type DeployerConfig } from '../deployers/types.ts'
import type { PlacedProblem } from './issues.ts'
import type { CheckedConfig } from './schema.ts'

type Bundle = CheckedConfig['bundles'][string]

/** The bundles as they are written. */
type Written = Record<string, object | null>

const keys = ['kind', 'keep', 'aliases', 'limits'] as const

/** Where nothing is pulled, nothing can be said of what is kept and served, and no place can have the bytes from here. */
export function checkUnpulled(config: CheckedConfig, written: Written = {}): PlacedProblem[] {
  const unpulled = Object.entries(config.bundles).filter(([, { pull }]) => !pull)
  return unpulled.flatMap(([name, bundle]) => [
    ...checkKeys(name, written[name] ?? {}),
    ...checkPlaces(name, bundle, config.deployers),
  ])
}

function checkKeys(name: string, written: object): PlacedProblem[] {
  return keys
    .filter((key) => Object.hasOwn(written, key))
    .map((key) => ({
      path: ['bundles', name, key],
      message: `says nothing where nothing is pulled: \`${name}\` has pull: false`,
      hint: 'Leave it out, or let the bundle be pulled.',
    }))
}

function checkPlaces(name: string, { deploy }: Bundle, deployers: CheckedConfig['deployers']): PlacedProblem[] {
  return deploy.flatMap(({ to }, index) => {
    const deployer = Object.hasOwn(deployers, to) ? deployers[to]! : undefined
    const why = deployer && whyBytes(deployer)
    if (why === undefined) return []
    return [
      {
        path: ['bundles', name, 'deploy', index, 'to'],
        message: `\`${to}\` ${why}, and nothing is pulled of \`${name}\` (pull: false)`,
        hint: 'Let it be pulled, or deploy to places that fetch it by themselves.',
      },
    ]
  })
}

/** The map gives the function that goes with the type, which the compiler cannot see. */
function whyBytes(deployer: DeployerConfig): string | undefined {
  return deployerTypes[deployer.type].whyBytes(deployer as never)
}
