import { z } from 'zod'
import { durationSchema } from '../../lib/schema.ts'
import { argvSchema } from '../argv.ts'

const modeError = 'expected three octal digits in quotes, such as "0644"'
const modeSchema = z
  .string({ error: modeError })
  .regex(/^0?[0-7]{3}$/, { error: modeError })
  .transform((text) => Number.parseInt(text, 8))
const idSchema = z.int().min(0).max(0xffff_fffe)

export const directoryDeployerSchema = z
  .strictObject({
    type: z.literal('directory').describe('A folder of this machine.'),
    root: z.string().min(1).describe('The folder. A bundle goes to `path` below it, as its `deploy` entry says.'),
    form: z
      .enum(['layers', 'unpacked', 'tarball'])
      .optional()
      .describe(
        '`layers`: each layer as the file that its title names; `unpacked`: the files of the bundle; `tarball`: the bundle as one file. Unless said: `layers` for `kind: files`, else `unpacked`. A `deploy` entry goes before it.',
      ),
    mode: z
      .enum(['files', 'swap'])
      .prefault('files')
      .describe('`files`: each file is replaced in one step; `swap`: all of them, by one link to a new folder.'),
    prune: z
      .boolean()
      .prefault(false)
      .describe('Whether the files of a bundle go when it, or its `deploy` entry, leaves the config.'),
    uid: idSchema.optional().describe('Whose the files are, by number; takes root.'),
    gid: idSchema.optional().describe('Their group, by number.'),
    file_mode: modeSchema.prefault('0644').describe('Who may do what with files, in octal.'),
    folder_mode: modeSchema.prefault('0755').describe('Who may do what with folders that are made, in octal.'),
    command: argvSchema.optional().describe('A program that is run after a change, with its arguments; no shell.'),
    command_timeout: durationSchema.prefault('30s').describe('How long the program may take.'),
    signal: z.enum(['HUP', 'USR1', 'USR2', 'WINCH']).optional().describe('Sent after a change, to `pid_file`.'),
    pid_file: z.string().min(1).optional().describe('Who gets the signal: a file that holds the number of a process.'),
  })
  .refine(({ signal, pid_file: pidFile }) => (signal === undefined) === (pidFile === undefined), {
    error: 'expected both signal and pid_file, or neither',
  })
  .refine(({ command, signal }) => command === undefined || signal === undefined, {
    error: 'expected a command or a signal, not both',
  })
  .transform((deployer) => {
    const { file_mode: fileMode, folder_mode: folderMode, command_timeout: commandTimeoutMs, ...rest } = deployer
    const { pid_file: pidFile, ...others } = rest
    return { ...others, fileMode, folderMode, commandTimeoutMs, pidFile }
  })

export type DirectoryDeployerConfig = z.output<typeof directoryDeployerSchema>
