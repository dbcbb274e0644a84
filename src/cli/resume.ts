import type { AddCommand } from './command.ts'
import { addExamples, addReasonOption, addServerOptions, type ReasonOption, type ServerOptions } from './options.ts'
import { withServer } from './server.ts'

export const addResume: AddCommand = (program, context) => {
  const command = program
    .command('resume')
    .summary('go on deploying what was held')
    .description('Go on deploying a bundle whose deployments were held, or all of them.')
    .argument('[name]', 'the bundle; all unless said')
    .action((name: string | undefined, options: ServerOptions & ReasonOption) =>
      withServer(context, options, async (server) => {
        const resumed = await server.resume(name, options.reason)
        const lines = resumed.map((bundle) => `${bundle === '*' ? 'all bundles' : bundle}: deployed again`)
        context.output.result({ resumed }, lines.length === 0 ? 'nothing was held' : lines)
      }),
    )
  addExamples(addServerOptions(addReasonOption(command)), 'resume authz', 'resume')
}
