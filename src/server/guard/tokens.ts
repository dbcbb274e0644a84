import { createHmac, randomBytes } from 'node:crypto'

export interface TokenSecret<T> {
  /** Asked for each request: a secret kept in a file changes with the file. */
  secret(): string
  owner: T
}

export interface TokenIndex<T> {
  ownerOf(presented: string): T | undefined
  /** Another number as soon as any secret has changed. */
  generation(): number
}

/**
 * Who owns a token. Tokens are compared as keyed hashes, looked up in a map: how long that takes says nothing about the
 * token. A token counts as it is and in base64, as OPA sends it to registries.
 */
export function createTokenIndex<T>(tokens: readonly TokenSecret<T>[]): TokenIndex<T> {
  const key = randomBytes(32)
  const print = (text: string) => createHmac('sha256', key).update(text).digest('base64')
  let secrets: string[] = []
  let owners = new Map<string, T>()
  let generation = 0

  function refresh(): void {
    generation++
    secrets = tokens.map((token) => token.secret())
    owners = new Map()
    tokens.forEach((token, index) => {
      const secret = secrets[index]!
      if (secret === '') return
      const encoded = Buffer.from(secret).toString('base64')
      for (const form of [secret, encoded, encoded.replace(/=+$/, '')]) owners.set(print(form), token.owner)
    })
  }

  function isOld(): boolean {
    for (let index = 0; index < tokens.length; index++) {
      if (tokens[index]!.secret() !== secrets[index]) return true
    }
    return false
  }

  return {
    ownerOf(presented) {
      if (isOld()) refresh()
      return owners.get(print(presented))
    },
    generation() {
      if (isOld()) refresh()
      return generation
    },
  }
}
