const accept = 'application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json'

/** The digest of the manifest that a registry has under a tag; undefined where it has none. */
export async function digestAt({ url }: { url: string }, repository: string, tag: string): Promise<string | undefined> {
  const response = await fetch(`${url}/v2/${repository}/manifests/${tag}`, { method: 'HEAD', headers: { accept } })
  if (response.status === 404) return undefined
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}`)
  return response.headers.get('docker-content-digest') ?? undefined
}
