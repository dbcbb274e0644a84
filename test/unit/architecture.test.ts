import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const source = join(root, 'src')
const files = listFiles(source).map((path) => ({ path: relative(source, path), text: readFileSync(path, 'utf8') }))

/** Which rooms a room may import besides itself. A plugin's folder counts as its kind. */
const allowed: Record<string, string[]> = {
  lib: [],
  model: ['lib', 'oci'],
  oci: ['lib', 'model'],
  opa: ['lib', 'model', 'oci'],
  clients: ['lib', 'model', 'oci'],
  content: ['lib', 'model', 'oci'],
  artifact: ['lib', 'model', 'oci', 'opa'],
  state: ['lib', 'model', 'oci'],
  registry: ['lib', 'model', 'oci', 'content', 'state'],
  stores: ['lib', 'model', 'oci', 'opa', 'clients', 'content', 'artifact'],
  deployers: ['lib', 'model', 'oci', 'opa', 'clients', 'content', 'artifact'],
  publishers: ['lib', 'model', 'clients'],
  webhooks: ['lib', 'model', 'oci', 'clients'],
  config: ['lib', 'model', 'oci', 'stores', 'deployers', 'publishers', 'webhooks'],
  reconcile: ['lib', 'model', 'oci', 'content', 'artifact', 'registry', 'state', 'stores', 'deployers', 'publishers'],
  server: ['lib', 'model', 'oci', 'content', 'registry', 'state', 'webhooks'],
}

/** Where a room may be entered from outside only by its interface. */
const interfacesOnly: Record<string, string[]> = {
  stores: ['store.ts', 'types.ts', 'schemas.ts'],
  deployers: ['deployer.ts', 'types.ts', 'schemas.ts'],
  publishers: ['publisher.ts', 'types.ts', 'schemas.ts'],
  webhooks: ['webhook.ts', 'types.ts', 'schemas.ts'],
}

describe('who may import whom', () => {
  it.each(Object.keys(allowed))('%s imports only what stands below it', (room) => {
    const broken = importsOf(room).filter(({ to }) => to !== room && !allowed[room]!.includes(to.split('/')[0]!))
    expect(broken).toEqual([])
  })

  it('a plugin is entered only through its kind', () => {
    const broken = Object.entries(interfacesOnly).flatMap(([kind, open]) =>
      files
        .filter((file) => !file.path.startsWith(`${kind}/`))
        .flatMap((file) => localImports(file))
        .filter(({ target }) => target.startsWith(`${kind}/`) && !open.includes(target.slice(kind.length + 1))),
    )
    expect(broken).toEqual([])
  })

  it('plugins do not know each other', () => {
    const broken = Object.keys(interfacesOnly).flatMap((kind) =>
      files
        .filter((file) => file.path.startsWith(`${kind}/`) && file.path.split('/').length > 2)
        .flatMap((file) => localImports(file).map(({ target }) => ({ from: file.path, target })))
        .filter(
          ({ from, target }) =>
            target.split('/').length > 2 && target.startsWith(`${kind}/`) && dirname(target) !== dirname(from),
        ),
    )
    expect(broken).toEqual([])
  })

  it('every room has a rule', () => {
    /** They put the others together. */
    const tops = ['cli', 'app']
    const rooms = readdirSync(source).filter(
      (name) => statSync(join(source, name)).isDirectory() && !tops.includes(name),
    )
    expect(rooms.filter((room) => !(room in allowed))).toEqual([])
  })
})

describe('who may touch the process', () => {
  it.each([
    ['the environment is read', /\bprocess\.env\b/, ['config/environment.ts']],
    ['the process is ended', /\bprocess\.(exit|abort|reallyExit)\b/, ['main.ts']],
    ['standard streams are taken', /\bprocess\.(stdout|stderr|stdin)\b/, ['main.ts']],
    ['something is printed', /\bconsole\.|\.(stdout|stderr)\.write\(/, ['cli/output.ts']],
  ])('%s in one place only', (_what, pattern, places) => {
    expect(files.filter(({ text }) => pattern.test(withoutComments(text))).map(({ path }) => path)).toEqual(
      expect.toSatisfy((paths: string[]) => paths.every((path) => places.includes(path))),
    )
  })
})

describe('nothing runs at import time', () => {
  /** Programs of their own: the process's, and those of worker threads. */
  const entries = /^main\.ts$|(^|\/)worker\.ts$/

  it.each(files.filter(({ path }) => !entries.test(path)))('$path', ({ path, text }) => {
    expect(effectsOf(path, text)).toEqual([])
  })
})

describe('plugins', () => {
  it.each(Object.keys(interfacesOnly))('%s: folders equal the keys of its map', (kind) => {
    const folders = readdirSync(join(source, kind)).filter((name) => statSync(join(source, kind, name)).isDirectory())
    const map = readFileSync(join(source, kind, 'types.ts'), 'utf8')
    const keys = [...map.matchAll(/import\('\.\/([a-z-]+)\/index\.ts'\)/g)].map((match) => match[1])
    expect(keys.sort()).toEqual(folders.sort())
    for (const folder of folders)
      expect(readdirSync(join(source, kind, folder))).toEqual(
        expect.arrayContaining(['index.ts', 'readme.md', 'schema.ts']),
      )
  })
})

function listFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
}

function localImports(file: { path: string; text: string }): { target: string }[] {
  return [...file.text.matchAll(/(?:from|import\(|import)\s*'(\.[^']+)'/g)].map((match) => ({
    target: relative(source, resolve(source, dirname(file.path), match[1]!)),
  }))
}

function importsOf(room: string): { from: string; to: string }[] {
  return files
    .filter((file) => file.path.startsWith(`${room}/`))
    .flatMap((file) => localImports(file).map(({ target }) => ({ from: file.path, to: target.split('/')[0]! })))
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '')
}

/** Top-level statements that do more than declare: calls other than building a value, awaits, loops, assignments. */
function effectsOf(path: string, text: string): string[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  return file.statements
    .filter((statement) => !isDeclaration(statement))
    .map((statement) => statement.getText().slice(0, 80))
}

function isDeclaration(statement: ts.Statement): boolean {
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.every(
      ({ initializer }) => initializer === undefined || isValue(initializer),
    )
  return (
    ts.isImportDeclaration(statement) ||
    ts.isExportDeclaration(statement) ||
    ts.isFunctionDeclaration(statement) ||
    ts.isClassDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement)
  )
}

/** Calls that only build a value: schemas, sets, patterns, functions made by promisify. */
const builders =
  /^(z|pino|fileURLToPath|digestOf|Error|Buffer|Object|Array|Number|BigInt|String|Symbol|Math|promisify|Set|Map|WeakMap|RegExp|URL|TextEncoder|TextDecoder|Uint8Array|AsyncLocalStorage|Intl)\b|Schema\b|\.(strict|optional|nullable|array|default|describe|meta|transform|refine|superRefine|pipe|extend|or|min|max|int|regex|map|filter|join|split|sort|flatMap|concat|keys|entries|toString)$/

function isValue(node: ts.Node): boolean {
  if (ts.isFunctionLike(node) || ts.isClassExpression(node)) return true
  if (ts.isAwaitExpression(node)) return false
  if ((ts.isCallExpression(node) || ts.isNewExpression(node)) && !isBuilder(node)) return false
  return !ts.forEachChild(node, (child) => !isValue(child))
}

function isBuilder(node: ts.CallExpression | ts.NewExpression): boolean {
  const called = node.expression.getText()
  return builders.test(called) || isDeclaredHere(node)
}

/** A function of the same file that is itself made of values: `duration()` in a schema. */
function isDeclaredHere(node: ts.CallExpression | ts.NewExpression): boolean {
  if (!ts.isIdentifier(node.expression)) return false
  const name = node.expression.text
  return node
    .getSourceFile()
    .statements.some((statement) => ts.isFunctionDeclaration(statement) && statement.name?.text === name)
}
