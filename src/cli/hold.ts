import type { AddCommand } from './command.ts'
import { addExamples, addReasonOption, addServerOptions, type ReasonOption, type ServerOptions } from './options.ts'
import { withServer } from './server.ts'

export const addHold: AddCommand = (program, context) => {
  const command = program
    .command('hold')
    .summary('deploy nothing before somebody says resume')
    .description('Deploy nothing of a bundle, or nothing at all, before somebody says resume. It is served as before.')
    .argument('[name]', 'the bundle; all unless said, those to come included')
    .action((name: string | undefined, options: ServerOptions & ReasonOption) =>
      withServer(context, options, async (server) => {
        const held = await server.hold(name, options.reason)
        const what = name ?? 'all bundles'
        context.output.result({ held }, held ? `${what}: held` : `${what}: held already`)
      }),
    )
  addExamples(addServerOptions(addReasonOption(command)), 'hold authz --reason "change freeze"', 'hold')
}
