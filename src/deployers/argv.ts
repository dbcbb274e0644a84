import { isAbsolute } from 'node:path'
import { z } from 'zod'

/** A program and its arguments. A relative path would depend on where it is run. */
export const argvSchema = z
  .array(z.string())
  .min(1, { error: 'expected a program and its arguments' })
  .refine(([program = '']) => program !== '' && (isAbsolute(program) || !program.includes('/')), {
    error: 'expected an absolute path of a program, or its bare name',
    path: [0],
  })
