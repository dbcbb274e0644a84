/** What registries send, in the shapes that their documentation shows; names and digests are ours. */

const digest = `sha256:${'1'.repeat(64)}`
const manifest = 'application/vnd.oci.image.manifest.v1+json'

const target = (parts: object) => ({ size: 500, length: 500, digest, repository: 'policies/authz', ...parts })
const event = (action: string, parts: object) => ({
  id: 'b8c9a1d0-0000-4000-8000-000000000000',
  timestamp: '2026-01-01T00:00:00Z',
  action,
  target: target(parts),
  request: { id: 'a', addr: '10.0.0.1:41000', host: 'registry:5000', method: 'PUT', useragent: 'oras/1.3.2' },
  actor: {},
  source: { addr: 'registry:5000', instanceID: 'x' },
})

export const distribution = {
  manifest: { events: [event('push', { mediaType: manifest, tag: 'latest', url: 'http://registry:5000/v2/…' })] },
  byDigest: { events: [event('push', { mediaType: manifest })] },
  blob: { events: [event('push', { mediaType: 'application/octet-stream' })] },
  pull: { events: [event('pull', { mediaType: manifest, tag: 'latest' })] },
  mount: { events: [event('mount', { mediaType: 'application/octet-stream', fromRepository: 'policies/other' })] },
  deletion: { events: [{ ...event('delete', {}), target: { digest, repository: 'policies/authz' } }] },
  several: {
    events: [
      event('push', { mediaType: 'application/octet-stream' }),
      event('push', { mediaType: manifest, tag: 'v1' }),
      event('push', { mediaType: manifest, tag: 'v1', repository: 'policies/other' }),
    ],
  },
}

export const dockerHub = {
  callback_url: 'https://registry.hub.docker.com/u/acme/policies/hook/2141b5bi5i5b02bec211i4eeih0242eg11000a/',
  push_data: { pushed_at: 1417566161, pusher: 'trustedbuilder', tag: 'latest' },
  repository: {
    ...{ comment_count: 0, date_created: 1417494799, description: '', is_official: false, is_private: true },
    ...{ name: 'policies', namespace: 'acme', owner: 'acme', repo_name: 'acme/policies', star_count: 0 },
    ...{ repo_url: 'https://registry.hub.docker.com/u/acme/policies/', status: 'Active' },
  },
}

const harborData = {
  resources: [{ digest, tag: 'latest', resource_url: 'harbor.example.com/acme/policies:latest' }],
  repository: {
    ...{ date_created: 1680501893, name: 'policies', namespace: 'acme' },
    ...{ repo_full_name: 'acme/policies', repo_type: 'private' },
  },
}

export const harbor = {
  push: { type: 'PUSH_ARTIFACT', occur_at: 1680501893, operator: 'robot$ci', event_data: harborData },
  pull: { type: 'PULL_ARTIFACT', occur_at: 1680501893, operator: 'robot$ci', event_data: harborData },
  replication: {
    type: 'REPLICATION',
    ...{ occur_at: 1680502375, operator: 'admin' },
    event_data: {
      replication: {
        ...{ harbor_hostname: 'harbor.example.com', job_status: 'Success', artifact_type: 'image' },
        dest_resource: { registry_type: 'harbor', endpoint: 'https://harbor.example.com', namespace: 'mirrored' },
      },
    },
  },
  cloudEvent: {
    ...{ specversion: '1.0', id: '66e18103-09c1-41f6-982f-37df223f3eeb', source: '/projects/2/webhook/policies/15' },
    ...{ requestid: '51c0b694-0168-4f3c-b0db-282565455d7b', type: 'harbor.artifact.pushed' },
    ...{ datacontenttype: 'application/json', time: '2026-04-03T06:04:46Z', operator: 'robot$ci' },
    data: harborData,
  },
}

export const quay = {
  push: {
    ...{ name: 'policies', repository: 'acme/policies', namespace: 'acme', docker_url: 'quay.io/acme/policies' },
    ...{ homepage: 'https://quay.io/repository/acme/policies', updated_tags: ['latest'] },
  },
  build: {
    ...{ name: 'policies', repository: 'acme/policies', namespace: 'acme', docker_url: 'quay.io/acme/policies' },
    ...{ homepage: 'https://quay.io/repository/acme/policies/build?current=x', build_id: 'x', docker_tags: ['latest'] },
  },
}

const gitHubPackage = {
  ...{ id: 1, name: 'policies', namespace: 'Acme', description: '', ecosystem: 'CONTAINER', package_type: 'CONTAINER' },
  html_url: 'https://github.com/orgs/Acme/packages/container/policies/1',
  owner: { login: 'Acme', id: 2, type: 'Organization' },
  package_version: {
    ...{ id: 3, version: digest, name: digest, package_url: 'ghcr.io/acme/policies:latest' },
    container_metadata: { tag: { name: 'latest', digest }, labels: {}, manifest: {} },
  },
  registry: {
    about_url: '',
    name: 'GitHub Container registry',
    type: 'CONTAINER',
    url: 'https://ghcr.io/Acme',
    vendor: 'GitHub Inc',
  },
}

export const gitHub = {
  registryPackage: { action: 'published', registry_package: gitHubPackage, sender: { login: 'ci' } },
  package: { action: 'published', package: gitHubPackage, sender: { login: 'ci' } },
  npm: { action: 'published', registry_package: { ...gitHubPackage, package_type: 'NPM' } },
  ping: { zen: 'Design for failure.', hook_id: 1, hook: { type: 'Organization' } },
}

export const zot = {
  updated: { name: 'policies/authz', reference: 'latest', digest, mediaType: manifest, manifest: '{}' },
  created: { name: 'policies/authz' },
}
