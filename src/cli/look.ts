import { LongshoreError, RemoteError, IntegrityError, type IntegrityCode, type RemoteCode } from '../lib/errors.ts'
import { formatDuration } from '../lib/units.ts'
import type { Look } from '../model/release.ts'
import type { AddCommand } from './command.ts'
import { BadResult, describeError, exitStatusOf } from './exit.ts'
import { addExamples, addServerOptions, type ServerOptions } from './options.ts'
import { withServer } from './server.ts'

export const addLook: AddCommand = (program, context) => {
  const command = program
    .command('look')
    .summary('have a bundle looked at now')
    .description('Have a bundle looked at now, and say what came of it.')
    .argument('<name>', 'the bundle')
    .action((name: string, options: ServerOptions) =>
      withServer(context, options, async (server) => {
        const look = await server.look(name)
        const failure = failureOf(look)
        context.output.result(look, failure === undefined ? describeLook(look) : '')
        if (failure !== undefined) throw new BadResult(exitStatusOf(failure), describeError(failure))
      }),
    )
  addExamples(addServerOptions(command), 'look authz')
}

/** `authz: released 1.4.2 (312ms)`. */
export function describeLook({ bundle, outcome, version, startedAt, endedAt }: Look): string {
  const took = formatDuration(endedAt - startedAt)
  return outcome === 'released' ? `${bundle}: released ${version ?? ''} (${took})` : `${bundle}: nothing new (${took})`
}

/** A look that did not go well, as the error that it was there: so that the exit status is what it would be here. */
export function failureOf(look: Look): LongshoreError | undefined {
  if (look.outcome === 'released' || look.outcome === 'unchanged') return undefined
  const message = `${look.bundle}: ${look.message ?? 'the look failed'}`
  if (look.outcome === 'refused') return new IntegrityError((look.code ?? 'bad_bundle') as IntegrityCode, message)
  if (look.code !== null && remoteRefusals.has(look.code)) {
    return new RemoteError(look.code as RemoteCode, message, { host: look.bundle })
  }
  return new LongshoreError(look.code ?? 'failed', message)
}

const remoteRefusals = new Set(['unauthorized', 'denied', 'not_found'])
