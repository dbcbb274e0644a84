import { isRepositoryName } from '../oci/reference.ts'
import { join } from 'node:path'
import { IntegrityError } from '../lib/errors.ts'

/** Names that an OCI image layout gives a meaning: a component of a repository may be called so too. */
const reserved = new Set(['blobs', 'index.json', 'oci-layout'])

/** `repositories/<name>` in the content folder; a component that the layout itself needs gets a `_`, which no name ends in. */
export function layoutFolder(root: string, repository: string): string {
  if (!isRepositoryName(repository)) {
    throw new IntegrityError('unsafe_path', `${JSON.stringify(repository.slice(0, 100))} is no name of a repository`)
  }
  const components = repository.split('/').map((name) => (reserved.has(name) ? `${name}_` : name))
  return join(root, 'repositories', ...components)
}

/** The other way round, from the components of a path below `repositories`. Undefined when no repository lies there. */
export function repositoryAt(components: readonly string[]): string | undefined {
  const name = components.map((part) => (part.endsWith('_') ? part.slice(0, -1) : part)).join('/')
  return isRepositoryName(name) ? name : undefined
}
