import type { Content } from '../content/content.ts'
import { StorageError } from '../lib/errors.ts'
import { formatSize } from '../lib/units.ts'
import { verifyContent, type Finding } from '../registry/verify.ts'
import type { State } from '../state/state.ts'
import type { AddCommand, CommandContext } from './command.ts'
import { BadResult, exitStatus } from './exit.ts'
import { withFolder } from './folder.ts'
import { counted } from './format.ts'
import { addConfigOption, addExamples, type ConfigOption } from './options.ts'
import { readConfig } from './read-config.ts'

export const addVerifyContent: AddCommand = (program, context) => {
  const command = program
    .command('verify-content')
    .summary('check every blob of the data folder')
    .description(
      'Hash every blob of the data folder, and compare it with the catalog. No server may be using the folder.',
    )
    .action(async (options: ConfigOption) => {
      const config = await readConfig(context, options.config)
      const { path } = config.content
      await withFolder(context, config, ({ state, content }) => verify(context, path, state, content)).catch(
        explainLock,
      )
    })
  addExamples(addConfigOption(command), 'verify-content -c longshore.yaml')
}

async function verify(context: CommandContext, path: string, state: State, content: Content): Promise<void> {
  const { output, signal } = context
  const progress = output.progress(`verifying ${path}`)
  const seen = { blobs: 0, bytes: 0 }
  const counting: Content = {
    ...content,
    async *list() {
      for await (const blob of content.list()) {
        yield blob
        seen.blobs += 1
        seen.bytes += blob.size
        progress.update(seen.bytes)
      }
    },
  }
  const findings: Finding[] = []
  try {
    for await (const finding of verifyContent({ content: counting, catalog: state.catalog, signal }))
      findings.push(finding)
  } finally {
    progress.end()
  }
  const found = `${counted(seen.blobs, 'blob')}, ${formatSize(seen.bytes)}`
  output.result(
    { path, ...seen, findings },
    findings.length === 0 ? `${path}: ${found}, all as they should be` : findings.map(({ message }) => message),
  )
  if (findings.length > 0) {
    throw new BadResult(
      exitStatus.content,
      `${counted(findings.length, 'blob')} in ${path} damaged or missing (of ${found})\nWhat follows another registry is fetched again once it is gone; what was pushed here has to be pushed again.`,
    )
  }
}

function explainLock(error: unknown): never {
  if (!(error instanceof StorageError) || error.code !== 'locked') throw error
  throw new StorageError('locked', `${error.message}, so it cannot be verified now`, {
    hint: 'Stop the server, verify, and start it again; or verify a copy of the folder. A running server cannot do it by itself yet.',
    cause: error,
  })
}
