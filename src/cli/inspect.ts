import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { ConfigError, IntegrityError } from '../lib/errors.ts'
import type { AddCommand, CommandContext } from './command.ts'
import { describeArtifact, describeSummary } from './inspect-text.ts'
import { inspectArtifact } from './inspect-artifact.ts'
import { summarizePath } from './inspect-bundle.ts'
import { layoutScheme } from './layout-reference.ts'
import { withReferences } from './open-reference.ts'
import { addExamples, addRemoteOptions, type RemoteOptions } from './options.ts'

export const addInspect: AddCommand = (program, context) => {
  const command = program
    .command('inspect')
    .summary('what a reference or a bundle holds')
    .description('Show what a reference stands for, and what is in a bundle, in a registry or here.')
    .argument('<ref>', 'host/repository:tag, oci-layout:DIR:tag, or a bundle: a .tar.gz or a folder')
    .action((text: string, options: RemoteOptions) => inspect(context, text, options))
  addExamples(addRemoteOptions(command), 'inspect ghcr.io/acme/policies:1.4.2', 'inspect bundle.tar.gz')
}

async function inspect(context: CommandContext, text: string, options: RemoteOptions): Promise<void> {
  const { output, cwd, signal } = context
  if (await isPath(text, cwd)) {
    const summary = await summarizePath(resolve(cwd, text), signal).catch(nameFile(text))
    return output.result({ file: text, bundle: summary }, describeSummary(summary))
  }
  await withReferences(context, options, async (open) => {
    const opened = await open(text)
    const artifact = await inspectArtifact(context, opened)
    output.result(artifact, describeArtifact(artifact))
  })
}

function nameFile(path: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof IntegrityError)) throw error
    const { code, message, file, hint } = error
    throw new IntegrityError(code, `cannot read ${path} as a bundle: ${message}`, {
      cause: error,
      ...(file !== undefined && { file }),
      hint: hint ?? 'A bundle is a folder, or a .tar.gz as `longshore build` and `opa build` make it.',
    })
  }
}

/** What is there as a file or a folder is one; what only looks like one must not be asked of Docker Hub. */
async function isPath(text: string, cwd: string): Promise<boolean> {
  if (text.startsWith(layoutScheme)) return false
  if ((await stat(resolve(cwd, text)).catch(() => undefined)) !== undefined) return true
  if (!/^(?:\.{0,2}\/)|\.(?:tar|tgz|tar\.gz)$/.test(text)) return false
  throw new ConfigError(`there is no file or folder ${text}`, {
    code: 'usage',
    hint: 'Name one that is there, or a reference: host/repository:tag or oci-layout:DIR:tag.',
  })
}
