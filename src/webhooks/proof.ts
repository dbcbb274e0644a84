import { z } from 'zod'
import { headerSchema } from '../clients/http/schema.ts'
import { secretSchema } from '../lib/schema.ts'
import type { Secret } from '../lib/secret.ts'
import { isSame, sign } from '../lib/signature.ts'
import type { Delivery } from './webhook.ts'

// How whoever sends shows that it may.

export const tokenSchema = secretSchema
  .optional()
  .describe('Comes in `Authorization`: as it is, as a bearer token, or as the password of a login.')

export const signatureSchema = z
  .strictObject({
    secret: secretSchema.describe('Known to both sides.'),
    header: headerSchema
      .prefault('X-Hub-Signature-256')
      .describe('Holds HMAC-SHA256 of the body in hex, with or without `sha256=` before it.'),
  })
  .optional()
  .describe('The body is signed.')

const urlTokenError = 'expected 20 or more letters, digits, "-" and "_": it is part of a URL'

export const urlTokenSchema = secretSchema
  .refine((secret: Secret) => !secret.isKnown() || isUrlToken(secret.current()), { error: urlTokenError })
  .optional()
  .describe('Follows the name in the URL: for those who can send nothing else, such as Docker Hub and Quay.')

export interface Proof {
  token?: Secret | undefined
  hmac?: { secret: Secret; header: string } | undefined
  url_token?: Secret | undefined
}

export const oneProof = { error: 'expected exactly one of token, hmac and url_token' }

export function hasOneProof({ token, hmac, url_token: urlToken }: Proof): boolean {
  return [token, hmac, urlToken].filter((proof) => proof !== undefined).length === 1
}

export async function isProven({ token, hmac, url_token: urlToken }: Proof, delivery: Delivery): Promise<boolean> {
  if (token !== undefined) return hasToken(delivery, await token.read())
  if (urlToken !== undefined) return isSame(delivery.urlToken ?? '', await urlToken.read())
  if (hmac === undefined) return false
  const given = delivery.headers[hmac.header.toLowerCase()]
  // Nobody who signs nothing has anything read.
  if (given === undefined) return false
  const right = await sign(await hmac.secret.read(), [await delivery.body()])
  return isSame(given.replace(/^sha256=/i, '').toLowerCase(), right)
}

/** All of them are compared, whatever the first one says. */
function hasToken({ headers: { authorization = '' } }: Delivery, token: string): boolean {
  const bearer = authorization.replace(/^Bearer +/i, '')
  const password = passwordOf(authorization)
  return [authorization, bearer, password].map((given) => isSame(given, token)).includes(true)
}

/** https://www.rfc-editor.org/rfc/rfc7617 */
function passwordOf(authorization: string): string {
  const encoded = /^Basic +(\S+)$/i.exec(authorization)?.[1] ?? ''
  const login = Buffer.from(encoded, 'base64').toString('utf8')
  return login.slice(login.indexOf(':') + 1)
}

function isUrlToken(text: string): boolean {
  return /^[A-Za-z0-9_-]{20,}$/.test(text)
}
