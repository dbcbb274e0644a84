import { z } from 'zod'
import { ConfigError } from '../lib/errors.ts'
import { formatReference, parseReference } from './reference.ts'

/** `host/repository` as the config names it, without tag or digest; Docker Hub's short forms come out in full. */
export const ociRepositorySchema = z
  .string({ error: 'expected a repository such as ghcr.io/acme/policies' })
  .transform((text, context) => {
    try {
      const { host, repository } = parseReference(`${text}:latest`)
      return formatReference({ host, repository })
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      context.addIssue({ code: 'custom', message: problemOf(text) })
      return z.NEVER
    }
  })

function problemOf(text: string): string {
  try {
    parseReference(text)
    return 'expected a repository without a tag or digest'
  } catch (error) {
    const { message, hint } = error as ConfigError
    return `${message}${hint === undefined ? '' : `. ${hint}`}`
  }
}
