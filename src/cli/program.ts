import { Command, CommanderError } from 'commander'
import type { AddCommand, CommandContext } from './command.ts'
import { describeError, errorDocument, exitStatus, exitStatusOf } from './exit.ts'
import { addServe } from './serve.ts'

const commands: AddCommand[] = [addServe]

/** Runs one command line; returns the exit status and never throws. */
export async function runCommand(argv: readonly string[], version: string, context: CommandContext): Promise<number> {
  const program = createProgram(version, context)
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return exitStatus.done
  } catch (error) {
    return report(error, context)
  }
}

function createProgram(version: string, context: CommandContext): Command {
  const program = new Command('longshore')
    .description('Watches registries for OPA bundles and other artifacts, verifies them, serves the newest, deploys it.')
    .version(version)
    .option('--json', 'one JSON document on stdout')
    .exitOverride()
    .showHelpAfterError('(run it with --help to see what it takes)')
    .configureOutput({
      writeOut: (text) => context.output.result(undefined, text.trimEnd()),
      writeErr: (text) => context.output.note(text.trimEnd()),
    })
  for (const add of commands) add(program, context)
  return program
}

function report(error: unknown, context: CommandContext): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitStatus.done : exitStatus.usage
  if (context.signal.aborted && error === context.signal.reason) return exitStatus.failed
  if (context.output.json) context.output.result(errorDocument(error), '')
  context.output.error(context.redactor.redact(describeError(error)))
  return exitStatusOf(error)
}
