import type { Deployment, Plan } from '../model/deployment.ts'
import type { AddCommand } from './command.ts'
import { addExamples, addReasonOption, addServerOptions, type ReasonOption, type ServerOptions } from './options.ts'
import { withServer } from './server.ts'

interface DeployOptions extends ServerOptions, ReasonOption {
  dryRun?: true
}

export const addDeploy: AddCommand = (program, context) => {
  const command = program
    .command('deploy')
    .summary('put a bundle to its places now')
    .description(
      'Put the current release to a place, or to all places of a bundle, whatever is there already, and whether or not it would go there by itself.',
    )
    .argument('<name>', 'the bundle')
    .argument('[to]', 'one place; all of the bundle unless said')
    .option('--dry-run', 'ask the places what they hold, say what would be done, change nothing')
    .action((name: string, to: string | undefined, options: DeployOptions) =>
      withServer(context, options, async (server) => {
        if (options.dryRun === true) {
          const plans = await server.plan(name, to ?? null)
          return context.output.result({ plans }, plans.map(describePlan))
        }
        const deployments = await server.deploy(name, { to: to ?? null, reason: options.reason })
        context.output.result({ deployments }, deployments.map(describeBeginning))
      }),
    )
  addExamples(addServerOptions(addReasonOption(command)), 'deploy authz --dry-run', 'deploy authz prod')
}

/** `prod: would put release 4 there (has release 3): registry.prod/policies/authz does not have it`. */
export function describePlan({ place, does, desired, deployed, why }: Plan): string {
  const has = deployed === null ? 'had nothing from here yet' : `has release ${deployed}`
  const would = {
    deploy: `would put release ${desired} there (${has})`,
    repeat: `would put release ${desired} there once more`,
    nothing: 'would do nothing',
  }
  return `${place}: ${would[does]}: ${why}`
}

function describeBeginning({ place, desired }: Deployment): string {
  return `${place}: release ${desired} goes there`
}
