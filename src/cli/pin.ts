import type { Pinned } from '../model/steering.ts'
import type { Look } from '../model/release.ts'
import type { AddCommand, CommandContext } from './command.ts'
import { BadResult, describeError, exitStatusOf } from './exit.ts'
import { describeLook, failureOf } from './look.ts'
import {
  addExamples,
  addReasonOption,
  addServerOptions,
  countOption,
  type ReasonOption,
  type ServerOptions,
} from './options.ts'
import { withServer } from './server.ts'

type Options = ServerOptions & ReasonOption

export const addPin: AddCommand = (program, context) => {
  const command = program
    .command('pin')
    .summary('serve one version from now on')
    .description(
      'Serve one version from now on, whatever the config follows: a tag wherever it moves, or, frozen, a release or a digest. Outlives restarts, until it is taken off with unpin.',
    )
    .argument('<name>', 'the bundle')
    .argument('<version>', 'a tag such as v1.4.2, a release such as @41, or a digest such as @sha256:…')
    .action((name: string, version: string, options: Options) =>
      withServer(context, options, async (server) => {
        report(context, await server.pin(name, version, options.reason))
      }),
    )
  addExamples(addServerOptions(addReasonOption(command)), 'pin authz v1.4.2', 'pin authz @41')
}

export const addUnpin: AddCommand = (program, context) => {
  const command = program
    .command('unpin')
    .summary('follow again what the config says')
    .description('Take a pin off: what the config follows counts again.')
    .argument('<name>', 'the bundle')
    .action((name: string, options: Options) =>
      withServer(context, options, async (server) => {
        const look = await server.unpin(name, options.reason)
        const lines = look === null ? [`${name}: was not pinned`] : [`${name}: not pinned any more`, ...linesOf(look)]
        context.output.result({ look }, lines)
        if (look !== null) throwFailure(look)
      }),
    )
  addExamples(addServerOptions(addReasonOption(command)), 'unpin authz')
}

export const addRollback: AddCommand = (program, context) => {
  const command = program
    .command('rollback')
    .summary('go back to a release of the past')
    .description(
      'Go back to the release before what is served, or to any by its number, and stay there: a pin, until it is taken off with unpin.',
    )
    .argument('<name>', 'the bundle')
    .argument('[release]', 'its number, as `longshore releases` lists them', countOption)
    .action((name: string, release: number | undefined, options: Options) =>
      withServer(context, options, async (server) => {
        report(context, await server.rollBack(name, release ?? null, options.reason))
      }),
    )
  addExamples(addServerOptions(addReasonOption(command)), 'rollback authz', 'rollback authz 41')
}

function report(context: CommandContext, pinned: Pinned): void {
  const { to, look } = pinned
  const what = 'tag' in to ? to.tag : 'release' in to ? `release ${to.release}` : to.digest
  context.output.result(pinned, [`${look.bundle}: pinned to ${what}`, ...linesOf(look)])
  throwFailure(look)
}

function linesOf(look: Look): string[] {
  return failureOf(look) === undefined ? [describeLook(look)] : []
}

/** The decision stands, whatever came of the look. */
function throwFailure(look: Look): void {
  const failure = failureOf(look)
  if (failure !== undefined) throw new BadResult(exitStatusOf(failure), describeError(failure))
}
