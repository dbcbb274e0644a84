import type { AddCommand } from './command.ts'
import { addExamples, addServerOptions, type ServerOptions } from './options.ts'
import { withServer } from './server.ts'
import { describeStatus } from './status-table.ts'

export const addStatus: AddCommand = (program, context) => {
  const command = program
    .command('status')
    .summary('what each bundle serves, and how it is')
    .description('What each bundle serves, since when, how the last look went, and where it is deployed.')
    .action((options: ServerOptions) =>
      withServer(context, options, async (server) => {
        const [bundles, left, warnings] = await Promise.all([server.bundles(), server.left(), server.warnings()])
        for (const warning of warnings) context.output.warn(warning)
        context.output.result(
          { bundles, left, warnings },
          describeStatus(bundles, context.clock.now(), context.output, left),
        )
      }),
    )
  addExamples(addServerOptions(command), 'status', 'status --server https://policy.example.com --json')
}
