import { resolve } from 'node:path'
import { buildBundle } from '../artifact/build.ts'
import { counted, formatSize } from '../lib/units.ts'
import type { AddCommand, CommandContext } from './command.ts'
import { addExamples, collectOption } from './options.ts'

interface BuildCommandOptions {
  output: string
  revision?: string
  root?: string[]
}

export const addBuild: AddCommand = (program, context) => {
  const command = program
    .command('build')
    .summary('make an OPA bundle of folders')
    .description('Make an OPA bundle of one folder or several: the same bytes for the same files, anywhere.')
    .argument('<dir...>', 'the folders, each from its own top')
    .requiredOption('-o, --output <file>', 'where the bundle goes')
    .option('--revision <text>', "the label in .manifest (else the one there, else one of the content's)")
    .option('--root <path>', 'a root in .manifest, may be given several times (else those there)', collectOption)
    .action((dirs: string[], options: BuildCommandOptions) => build(context, dirs, options))
  addExamples(command, 'build policy/ -o bundle.tar.gz --revision 1.4.2 --root authz')
}

async function build(
  { output, cwd, signal }: CommandContext,
  dirs: string[],
  options: BuildCommandOptions,
): Promise<void> {
  const { packed, facts, warnings } = await buildBundle({
    dirs: dirs.map((dir) => resolve(cwd, dir)),
    output: resolve(cwd, options.output),
    ...(options.revision !== undefined && { revision: options.revision }),
    ...(options.root !== undefined && { roots: options.root }),
    signal,
  })
  for (const warning of warnings) output.warn(warning)
  const { digest, size } = packed
  const { revision, roots } = facts.manifest
  output.result({ file: options.output, digest, size, revision, roots, files: facts.files.length, warnings }, [
    `${options.output}  ${formatSize(size)}, ${counted(facts.files.length, 'file')}`,
    digest,
  ])
}
