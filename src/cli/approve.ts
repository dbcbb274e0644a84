import { describeWaiting } from '../model/promotion.ts'
import type { Approved } from '../model/steering.ts'
import type { AddCommand } from './command.ts'
import { formatAge } from './format.ts'
import { addExamples, addReasonOption, addServerOptions, type ReasonOption, type ServerOptions } from './options.ts'
import { withServer } from './server.ts'

export const addApprove: AddCommand = (program, context) => {
  const command = program
    .command('approve')
    .summary('agree to a release that waits for it')
    .description(
      'Agree to a release of the bundle that another one is promoted from: it goes on as soon as its delay is over too.',
    )
    .argument('<name>', 'the bundle that takes it')
    .argument('[release]', 'its number in the bundle that it comes from, or its digest; the one that waits unless said')
    .action((name: string, release: string | undefined, options: ServerOptions & ReasonOption) =>
      withServer(context, options, async (server) => {
        const approved = await server.approve(name, release ?? null, options.reason)
        context.output.result({ approved }, describeApproved(name, approved, context.clock.now()))
      }),
    )
  addExamples(addServerOptions(addReasonOption(command)), 'approve authz-prod', 'approve authz-prod 41')
}

/** `authz-prod: release 41 (v1.4.2) is approved, and goes on`. */
export function describeApproved(name: string, approved: Approved, now: number): string[] {
  const { release, version, isNew, place, waiting } = approved
  const what = `${name}: release ${release} (${version}) ${isNew ? 'is approved' : 'was approved before'}`
  if (waiting?.release !== release) return [`${what}, and goes on`]
  return [what, describeWaiting(waiting, place, (at) => `${formatAge(Math.max(0, at - now))} more`)]
}
