/**
 * The target of `rel=next`, as it was written. https://www.rfc-editor.org/rfc/rfc8288#section-3; some registries send it
 * without quotes.
 */
export function nextLink(headers: readonly string[]): string | undefined {
  for (const header of headers) {
    for (const match of header.matchAll(/<([^<>]*)>((?:[^",<]|"[^"]*")*)/g)) {
      if (relationsOf(match[2]!).includes('next')) return match[1]
    }
  }
  return undefined
}

/** Those of the first `rel`; one that stands in quotes, in a title, is none. */
function relationsOf(parameters: string): string[] {
  for (const match of parameters.matchAll(/;\s*([\w*-]+)\s*=\s*(?:"([^"]*)"|([^\s;,"]*))/g)) {
    if (match[1]!.toLowerCase() === 'rel') return (match[2] ?? match[3]!).toLowerCase().split(/\s+/)
  }
  return []
}
