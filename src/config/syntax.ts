import { isAlias, isCollection, visit, type Document, type LineCounter, type Node, type YAMLError } from 'yaml'
import type { Problem } from '../lib/errors.ts'

const quote = 'Quote a value that begins with *, &, !, %, @, `, | or >.'

/** In words that somebody understands who does not know YAML by heart; the parser's own may quote a secret. */
const faults: Partial<Record<YAMLError['code'], { message: string; hint?: string }>> = {
  BAD_SCALAR_START: { message: 'a value cannot begin with this character', hint: quote },
  TAG_RESOLVE_FAILED: { message: 'an unknown tag', hint: quote },
  BAD_DQ_ESCAPE: {
    message: 'an unknown escape',
    hint: 'Within double quotes a backslash begins an escape: write two of them, or use single quotes.',
  },
  MISSING_CHAR: { message: 'a quote or bracket is not closed' },
  TAB_AS_INDENT: { message: 'a tab where there should be spaces', hint: 'Indent with spaces.' },
  RESOURCE_EXHAUSTION: { message: 'it nests too deeply' },
  MULTIPLE_DOCS: { message: 'a second document', hint: 'Keep one of them, and take out the line with ---.' },
}

/** What the parser found, placed. */
export function faultOf({ code, message, pos }: YAMLError, lines: LineCounter): Problem {
  const { line } = lines.linePos(pos[0])
  const known = faults[code]
  if (known !== undefined) return { line, ...known, message: notYaml(known.message) }
  // Without what it quotes of the text.
  return { line, message: notYaml(message.split('\n', 1)[0]!.replace(/:? ".*$|: .*$/s, '')) }
}

/**
 * What is YAML and means nothing here: aliases that lead nowhere, and keys that are lists or mappings, which take the parser for ever to
 * write as text where they are nested. The first such thing. Each anchor is looked up once, since there may be thousands.
 */
export function meaningFaults(document: Document, lines: LineCounter): Problem[] {
  const anchors = new Map<string, Node>()
  let found: Problem | undefined
  const stop = (node: Node, message: string, hint?: string) => {
    const { line } = lines.linePos(node.range![0])
    found = { line, message, ...(hint === undefined ? {} : { hint }) }
    return visit.BREAK
  }
  visit(document, {
    Pair(_key, { key }) {
      if (isCollection(key))
        return stop(key, 'a key is text, this one is a list or a mapping', 'Quote it if it is meant as text.')
    },
    Node(_key, node, ancestors) {
      if (!isAlias(node)) return node.anchor === undefined ? undefined : void anchors.set(node.anchor, node)
      const target = anchors.get(node.source)
      if (target === undefined) return stop(node, notYaml('an alias of nothing'), quote)
      if (ancestors.includes(target)) return stop(node, notYaml('an alias within what it stands for'))
    },
  })
  return found === undefined ? [] : [found]
}

export function notYaml(message: string): string {
  return `not YAML: ${message}`
}
