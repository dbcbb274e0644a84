import { verifyStorage } from '../app/maintenance.ts'
import { counted, formatSize } from '../lib/units.ts'
import type { Verified } from '../registry/verify.ts'
import type { AddCommand, CommandContext } from './command.ts'
import { BadResult, exitStatus } from './exit.ts'
import { byServerOrAlone } from './folder.ts'
import { addExamples, addServerOptions, type ServerOptions } from './options.ts'
import type { ServerClient } from './server-client.ts'

const askEveryMs = 1_000

export const addVerifyContent: AddCommand = (program, context) => {
  const command = program
    .command('verify-content')
    .summary('check every blob of the data folder')
    .description(
      'Hash every blob of the data folder, compare it with the catalog, and take away what is damaged, so that it can come again: by the running server, or by itself where none uses the folder.',
    )
    .action(async (options: ServerOptions) => {
      const { output, clock, signal } = context
      const progress = output.progress('verifying')
      const verified = await byServerOrAlone(context, options, {
        server: (server) => watched(server, context, ({ bytes }) => progress.update(bytes)),
        async alone(storage) {
          const update = ({ bytes }: { bytes: number }) => progress.update(bytes)
          const done = await verifyStorage({ ...storage, clock }, { signal, isAlone: true, progress: update })
          return { ...done, lookingAt: [] }
        },
      }).finally(() => progress.end())
      report(verified, context)
    })
  addExamples(addServerOptions(command), 'verify-content', 'verify-content -c longshore.yaml')
}

/** Asks now and then how far it is, where somebody sees that. */
async function watched(
  server: ServerClient,
  { output, clock, signal }: CommandContext,
  update: (seen: { bytes: number }) => void,
) {
  const done = new AbortController()
  const either = AbortSignal.any([done.signal, signal])
  const watch = async () => {
    for (;;) {
      await clock.sleep(askEveryMs, either)
      const { running, bytes } = await server.verifying()
      if (running) update({ bytes })
    }
  }
  // Ends with the answer, or with whatever kept it from going on: only the answer counts.
  const watching = output.drawsProgress ? watch().catch(() => undefined) : undefined
  try {
    return await server.verify()
  } finally {
    done.abort()
    await watching
  }
}

function report(verified: Verified & { lookingAt: string[] }, { output }: CommandContext): void {
  const { blobs, bytes, found, findings, lookingAt } = verified
  const seen = `${counted(blobs, 'blob')}, ${formatSize(bytes)}`
  const more = found > findings.length ? [`… only the first ${findings.length} are listed`] : []
  const lines = findings.map(({ message }) => message)
  output.result(verified, found === 0 ? `${seen}, all as they should be` : [...lines, ...more])
  if (found === 0) return
  const again = lookingAt.length === 0 ? [] : [`Looked at again, to fetch what is lost: ${lookingAt.join(', ')}`]
  const message = [
    `${counted(found, 'blob')} damaged or missing (of ${seen})`,
    ...again,
    'What follows another registry is fetched again by the next look; what was pushed here has to be pushed again.',
  ]
  throw new BadResult(exitStatus.content, message.join('\n'))
}
