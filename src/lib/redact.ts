const shortestSecret = 4
const mask = '***'

/** Knows every secret of this process from the moment it exists and takes them out of text. */
export class Redactor {
  /** How many told us of each: a token that one client lets go of may still be another's, or a password. */
  readonly #secrets = new Map<string, number>()
  /** What to look for, the longest first: one secret may begin with another. */
  #forms: string[] | undefined

  /** Returns the secret, so that it can be wrapped where it is read. */
  add(secret: string): string {
    if (secret.length < shortestSecret) return secret
    const count = this.#secrets.get(secret) ?? 0
    this.#secrets.set(secret, count + 1)
    if (count === 0) this.#forms = undefined
    return secret
  }

  /** For tokens that have expired: else the longer it runs, the more there would be to look for. */
  remove(secret: string): void {
    const count = this.#secrets.get(secret)
    if (count === undefined) return
    if (count > 1) this.#secrets.set(secret, count - 1)
    else {
      this.#secrets.delete(secret)
      this.#forms = undefined
    }
  }

  redact(text: string): string {
    this.#forms ??= [...new Set([...this.#secrets.keys()].flatMap(formsOf))].sort((a, b) => b.length - a.length)
    let out = text
    for (const form of this.#forms) if (out.includes(form)) out = out.replaceAll(form, mask)
    return hideLogins(out)
      .replace(/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, `$1 ${mask}`)
      .replace(
        /([?&](?:token|sig|signature|access_token|refresh_token|x-amz-[a-z-]+|password)=)[^&\s"]+/gi,
        `$1${mask}`,
      )
  }
}

/** `https://user:password@host` → `https://***@host`, wherever it stands. */
export function hideLogins(text: string): string {
  return text.replace(/(\/\/)[^/@\s:]*:[^/@\s]+@/g, `$1${mask}@`)
}

/** As it is, and as it stands in a header, a URL, and a line of JSON. */
function formsOf(secret: string): string[] {
  const inJson = JSON.stringify(secret).slice(1, -1)
  return [secret, Buffer.from(secret).toString('base64'), encodeURIComponent(secret.toWellFormed()), inJson]
}
