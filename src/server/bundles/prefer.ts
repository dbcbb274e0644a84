export const maxPreferChars = 1_000

/**
 * How many seconds the client is ready to wait, from `Prefer`; undefined where it does not ask to wait. OPA writes
 * `modes=snapshot,delta;wait=30`, others `wait=30` by itself or in a header of its own (Node joins those with a comma).
 * The first `wait` counts. https://www.rfc-editor.org/rfc/rfc7240
 */
export function readWaitSeconds(header: string | string[] | undefined): number | undefined {
  if (header === undefined) return undefined
  const text = typeof header === 'string' ? header : header.join(',')
  // Nobody's wish takes so many words, and reading them takes time that grows with the square of their number.
  if (text.length > maxPreferChars) return undefined
  // A quoted text may hold anything, `;wait=5` too: unless it is a number alone, it is none of ours.
  // One that does not end goes to the end of the text: so no character is looked at twice.
  const plain = text.replace(/"((?:[^"\\]|\\[^]?)*)("?)/g, (_, inner: string, end: string) =>
    end !== '' && /^\d+$/.test(inner) ? inner : '_',
  )
  const match = /(?:^|[,;])\s*wait\s*=\s*(\d{1,9})\s*(?=[,;]|$)/i.exec(plain)
  return match === null ? undefined : Number(match[1])
}
