import { isObject } from '../../oci/json.ts'
import type { Delivery, Said } from '../webhook.ts'

type Json = Record<string, unknown>

/** What a registry says. Which one it is shows in what it sends. */
export function readNotice(headers: Delivery['headers'], body: Buffer): Said {
  const json = parse(body)
  if (json === undefined) return { ignored: 'the body is no JSON object' }
  const gitHub = headers['x-github-event']
  if (gitHub !== undefined) return ofGitHub(gitHub, json)
  // https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
  const type = headers['ce-type'] ?? (json.specversion === undefined ? undefined : json.type)
  if (typeof type === 'string') return ofCloudEvent(type, headers['ce-type'] === undefined ? json.data : json)
  if (Array.isArray(json.events)) return ofDistribution(json.events)
  if (isObject(json.event_data)) return ofHarbor(textOf(json.type), json.event_data)
  if (isObject(json.push_data)) return ofDockerHub(json)
  if (typeof json.docker_url === 'string') return ofQuay(json)
  return { ignored: 'it is no event of a registry that is known here' }
}

function parse(body: Buffer): Json | undefined {
  try {
    const json: unknown = JSON.parse(body.toString('utf8'))
    return isObject(json) ? json : undefined
  } catch {
    return undefined
  }
}

/**
 * https://distribution.github.io/distribution/about/notifications/: a push is told of each of its blobs, and then of its manifest.
 * The media type of the request says v1 of distribution 2, v2 of distribution 3; these fields are in both.
 */
function ofDistribution(events: readonly unknown[]): Said {
  const changed = events.filter(isObject).flatMap(({ action, target }) => {
    const { repository, mediaType, tag } = isObject(target) ? target : {}
    const isManifest = typeof tag === 'string' || /manifest|image\.index/.test(textOf(mediaType))
    return action === 'delete' || (action === 'push' && isManifest) ? [repository] : []
  })
  return changed.length === 0 ? { ignored: 'no manifest was pushed or deleted' } : named(changed)
}

const harborTypes = /^(?:PUSH_ARTIFACT|DELETE_ARTIFACT|REPLICATION|TAG_RETENTION)$/

/** https://goharbor.io/docs/main/working-with-projects/project-configuration/configure-webhooks/ */
function ofHarbor(type: string, { repository, replication }: Json): Said {
  if (!harborTypes.test(type)) return ignored(type)
  // Of a replication, only where it went is told.
  if (isObject(replication) || !isObject(repository)) return { repositories: null }
  return named([repository.repo_full_name])
}

const zotTypes = ['zotregistry.image.updated', 'zotregistry.image.deleted', 'zotregistry.repository.created']

/** https://zotregistry.dev/latest/articles/events/ and Harbor's other format. */
function ofCloudEvent(type: string, data: unknown): Said {
  if (!isObject(data)) return ignored(type)
  if (zotTypes.includes(type)) return named([data.name])
  if (type !== 'harbor.artifact.pushed' && type !== 'harbor.artifact.deleted') return ignored(type)
  return named([isObject(data.repository) ? data.repository.repo_full_name : undefined])
}

/** https://docs.docker.com/docker-hub/repos/manage/webhooks/ */
function ofDockerHub({ repository }: Json): Said {
  return named([isObject(repository) ? repository.repo_name : undefined])
}

/** https://docs.quay.io/guides/notifications.html: builds and scans have a `docker_url` too, and no tags that changed. */
function ofQuay({ repository, updated_tags: tags }: Json): Said {
  return tags === undefined ? ignored('without updated_tags') : named([repository])
}

/** https://docs.github.com/en/webhooks/webhook-events-and-payloads#registry_package, and #package: which one comes depends on its age. */
function ofGitHub(event: string, { action, registry_package: newer, package: older }: Json): Said {
  const found = isObject(newer) ? newer : older
  if ((event !== 'registry_package' && event !== 'package') || !isObject(found)) return ignored(event)
  if (textOf(found.package_type).toLowerCase() !== 'container')
    return ignored(`${event} of ${textOf(found.package_type)}`)
  if (action !== 'published' && action !== 'updated') return ignored(`${event} ${textOf(action)}`)
  const { namespace, name, owner } = found
  const account = typeof namespace === 'string' ? namespace.split('/')[0] : isObject(owner) ? owner.login : undefined
  const isNamed = typeof account === 'string' && typeof name === 'string'
  return named([isNamed ? `${account}/${name}` : undefined])
}

/** Where a name is missing, it may be any. Registries' names are in lower case, accounts' need not be. */
function named(names: readonly unknown[]): Said {
  const known = names.filter((name) => typeof name === 'string' && name !== '') as string[]
  if (known.length < names.length) return { repositories: null }
  return { repositories: [...new Set(known.map((name) => name.toLowerCase()))] }
}

function ignored(type: string): Said {
  return { ignored: `an event ${type.slice(0, 100)} makes nothing new` }
}

/** A sender may put anything there. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
