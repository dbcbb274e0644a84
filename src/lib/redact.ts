const shortestSecret = 4
const mask = '***'

/** Knows every secret of this process from the moment it exists and takes them out of text. */
export class Redactor {
  readonly #secrets = new Set<string>()

  /** Returns the secret, so that it can be wrapped where it is read. */
  add(secret: string): string {
    if (secret.length >= shortestSecret) {
      this.#secrets.add(secret)
      this.#secrets.add(Buffer.from(secret).toString('base64'))
      this.#secrets.add(encodeURIComponent(secret))
    }
    return secret
  }

  redact(text: string): string {
    let out = text
    for (const secret of this.#secrets) if (out.includes(secret)) out = out.replaceAll(secret, mask)
    return out
      .replace(/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, `$1 ${mask}`)
      .replace(/(\/\/)[^/@\s:]+:[^/@\s]+@/g, `$1${mask}@`)
      .replace(/([?&](?:token|sig|signature|access_token|refresh_token|x-amz-[a-z-]+|password)=)[^&\s"]+/gi, `$1${mask}`)
  }
}
