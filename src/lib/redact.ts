const shortestSecret = 4
const mask = '***'

/** Knows every secret of this process from the moment it exists and takes them out of text. */
export class Redactor {
  readonly #secrets = new Map<string, string[]>()

  /** Returns the secret, so that it can be wrapped where it is read. */
  add(secret: string): string {
    if (secret.length >= shortestSecret) this.#secrets.set(secret, formsOf(secret))
    return secret
  }

  /** For tokens that have expired: else the longer it runs, the more there would be to look for. */
  remove(secret: string): void {
    this.#secrets.delete(secret)
  }

  redact(text: string): string {
    let out = text
    for (const form of [...this.#secrets.values()].flat()) if (out.includes(form)) out = out.replaceAll(form, mask)
    return out
      .replace(/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, `$1 ${mask}`)
      .replace(/(\/\/)[^/@\s:]+:[^/@\s]+@/g, `$1${mask}@`)
      .replace(
        /([?&](?:token|sig|signature|access_token|refresh_token|x-amz-[a-z-]+|password)=)[^&\s"]+/gi,
        `$1${mask}`,
      )
  }
}

/** As it is, and as it stands in a header or a URL. */
function formsOf(secret: string): string[] {
  return [...new Set([secret, Buffer.from(secret).toString('base64'), encodeURIComponent(secret)])]
}
