import { z } from 'zod'
import { durationSchema, textOrSecretSchema } from '../../lib/schema.ts'
import { argvSchema } from '../argv.ts'

const variableSchema = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: 'expected the name of a variable: letters, digits and _' })
  .refine((name) => !name.startsWith('LONGSHORE_'), { error: 'LONGSHORE_… are set by longshore' })

export const commandDeployerSchema = z
  .strictObject({
    type: z.literal('command').describe('A program of this machine.'),
    command: argvSchema.describe('The program and its arguments; no shell.'),
    env: z
      .record(variableSchema, textOrSecretSchema)
      .prefault({})
      .describe('More of its environment: text, `{ secret: text }` or `{ file: path }`.'),
    cwd: z.string().min(1).prefault('/').describe('The folder that it is run in.'),
    timeout: durationSchema
      .prefault('5m')
      .describe('How long it may take, before it is ended with all that it started.'),
    give_up: z
      .array(z.int().min(1).max(255))
      .prefault([])
      .describe('Exit statuses that mean that running it again for the same release would not help.'),
    file: z.boolean().prefault(false).describe('Give it the bundle as a file, whose path is in LONGSHORE_FILE.'),
  })
  .transform(({ timeout: timeoutMs, give_up: giveUp, ...deployer }) => ({ ...deployer, timeoutMs, giveUp }))

export type CommandDeployerConfig = z.output<typeof commandDeployerSchema>
