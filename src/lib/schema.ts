import { z } from 'zod'
import { Secret } from './secret.ts'
import { parseDuration, parseSize } from './units.ts'

/** Words of the config that mean the same everywhere, for the schemas of plugins as well. */

const durationError = 'expected a duration such as 500ms, 30s, 5m or 1h'
const sizeError = 'expected a size such as 512B, 64KiB, 10MiB or 2GiB'
export const secretError = 'expected text or { file: path }'

/** In milliseconds, more than none. */
export const durationSchema = z
  .string({ error: durationError })
  .regex(/^\d+(?:\.\d+)?(?:ms|s|m|h|d)$/, { error: durationError, abort: true })
  .refine((text) => parseDuration(text) !== undefined, { error: `${durationError}, at most 36500d`, abort: true })
  .refine((text) => parseDuration(text)! > 0, { error: `${durationError}, more than 0` })
  .transform((text) => parseDuration(text)!)

/** In bytes, more than none. */
export const sizeSchema = z
  .string({ error: sizeError })
  .regex(/^\d+(?:\.\d+)?(?:B|KiB|MiB|GiB|TiB)$/, { error: sizeError, abort: true })
  .refine((text) => parseSize(text) !== undefined, { error: `${sizeError}, less than 8192TiB`, abort: true })
  .refine((text) => parseSize(text)! > 0, { error: `${sizeError}, more than 0` })
  .transform((text) => parseSize(text)!)

export const secretSchema = z
  .union(
    [
      z.string().min(1, { error: secretError }),
      z.strictObject({
        file: z.string().min(1).describe('Path of a file that holds it; a line end at its end does not count.'),
      }),
    ],
    {
      error: secretError,
    },
  )
  .transform((source) => new Secret(source))

const textOrSecretError = 'expected text, { secret: text } or { file: path }'

/** Text that everybody may see, or a secret, which has to say so: it is taken out of all logs and answers. */
export const textOrSecretSchema = z
  .union(
    [
      z.string(),
      z.strictObject({ secret: z.string().min(1).describe('Text that nobody is to see.') }),
      z.strictObject({
        file: z.string().min(1).describe('Path of a file that holds it; a line end at its end does not count.'),
      }),
    ],
    { error: textOrSecretError },
  )
  .transform((value) => {
    if (typeof value === 'string') return value
    return new Secret('secret' in value ? value.secret : value)
  })
