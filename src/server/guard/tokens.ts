import { createHmac, randomBytes } from 'node:crypto'

export interface TokenSecret<T> {
  /** Asked for each request: a secret kept in a file changes with the file. */
  secret(): string
  owner: T
}

/**
 * Who owns a token. Tokens are compared as keyed hashes, looked up in a map: how long that takes says nothing about the
 * token. A token counts as it is and in base64, as OPA sends it to registries.
 */
export function createTokenIndex<T>(tokens: readonly TokenSecret<T>[]): (presented: string) => T | undefined {
  const key = randomBytes(32)
  const print = (text: string) => createHmac('sha256', key).update(text).digest('base64')
  let secrets: string[] = []
  let owners = new Map<string, T>()

  function refresh(): void {
    secrets = tokens.map((token) => token.secret())
    owners = new Map()
    tokens.forEach((token, index) => {
      const secret = secrets[index]!
      if (secret === '') return
      const encoded = Buffer.from(secret).toString('base64')
      for (const form of [secret, encoded, encoded.replace(/=+$/, '')]) owners.set(print(form), token.owner)
    })
  }

  return (presented) => {
    if (tokens.some((token, index) => token.secret() !== secrets[index])) refresh()
    return owners.get(print(presented))
  }
}
