/** Docker Hub counts in windows of this length. Who asks for more does not mean it, or means harm. */
const longestRetryAfterMs = 6 * 3_600_000

/** Seconds or a date: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3. Milliseconds from `now`, at most six hours. */
export function retryAfterOf(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined
  const askedMs = /^\s*\d+\s*$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now
  return Number.isNaN(askedMs) ? undefined : Math.min(Math.max(0, askedMs), longestRetryAfterMs)
}
