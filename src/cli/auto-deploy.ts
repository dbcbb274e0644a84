import { ConfigError } from '../lib/errors.ts'
import type { AddCommand } from './command.ts'
import { addExamples, addReasonOption, addServerOptions, type ReasonOption, type ServerOptions } from './options.ts'
import { withServer } from './server.ts'

export const addAutoDeploy: AddCommand = (program, context) => {
  const command = program
    .command('auto-deploy')
    .summary('switch whether new releases are deployed by themselves')
    .description(
      'Switch whether new releases go to a place, or to all places of a bundle, by themselves. It goes before the config, and outlives restarts. What was missed while it was off is caught up with the newest.',
    )
    .argument('<name>', 'the bundle')
    .argument('<words...>', 'the place (all of the bundle unless said), then on or off')
    .action((name: string, words: string[], options: ServerOptions & ReasonOption) =>
      withServer(context, options, async (server) => {
        const { to, on } = parseWords(words)
        await server.switchAutoDeploy(name, { to, on, reason: options.reason })
        const what = to === null ? name : `${name} to ${to}`
        context.output.result({ bundle: name, place: to, on }, `${what}: auto-deploy is ${on ? 'on' : 'off'}`)
      }),
    )
  addExamples(addServerOptions(addReasonOption(command)), 'auto-deploy authz off', 'auto-deploy authz prod on')
}

function parseWords(words: readonly string[]): { to: string | null; on: boolean } {
  const [word, to, ...more] = words.toReversed()
  if ((word !== 'on' && word !== 'off') || more.length > 0) {
    throw new ConfigError(`cannot switch auto-deploy to "${words.join(' ')}"`, {
      code: 'usage',
      hint: 'Say it so: longshore auto-deploy NAME [PLACE] on|off',
    })
  }
  return { to: to ?? null, on: word === 'on' }
}
