import type { AddCommand } from './command.ts'
import { describeExplanation } from './explain-text.ts'
import { addExamples, addServerOptions, countOption, type ServerOptions } from './options.ts'
import { withServer } from './server.ts'

interface ExplainOptions extends ServerOptions {
  limit: number
  all?: true
}

const defaultLimit = 50
/** The most that a server tells. */
const mostTags = 100_000

export const addExplain: AddCommand = (program, context) => {
  const command = program
    .command('explain')
    .summary('why a bundle is what it is')
    .description(
      'Why a bundle is what it is: what counts and by whose word, each tag with the reason why it was taken or was not, each place with the reason why it is up to date or is not.',
    )
    .argument('<name>', 'the bundle')
    .option('--limit <count>', 'how many tags to show, best first', countOption, defaultLimit)
    .option('--all', 'show every tag')
    .action((name: string, { all, limit, ...options }: ExplainOptions) =>
      withServer(context, options, async (server) => {
        const explained = await server.explain(name, all === true ? mostTags : limit)
        const { output, clock } = context
        output.result(explained, describeExplanation(explained, clock.now(), output))
      }),
    )
  addExamples(addServerOptions(command), 'explain authz', 'explain authz --all')
}
