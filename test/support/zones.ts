import type { Descriptor, RawManifest, Sink } from '../../src/oci/target.ts'
import { blobOf, imageOf } from './repository.ts'

const hosts = 500

/** A zone that says its serial at its beginning and at its end, long enough to be seen half-written. */
export function zone(origin: string, serial: number): string {
  const name = (at: number) => `host${at} 3600 IN A 10.0.${at >> 8}.${at & 255}`
  return [
    `$ORIGIN ${origin}.`,
    `@ 3600 IN SOA ns.${origin}. admin.${origin}. ${serial} 7200 3600 1209600 3600`,
    '@ 3600 IN NS ns',
    'ns 3600 IN A 127.0.0.1',
    `version 3600 IN TXT "${serial}"`,
    ...Array.from({ length: hosts }, (_, at) => name(at)),
    `end 3600 IN TXT "${serial}"`,
    '',
  ].join('\n')
}

/** The serial of a zone's text; undefined where it is not whole. */
export function serialOf(text: string): number | undefined {
  const begin = /^version 3600 IN TXT "(\d+)"$/m.exec(text)?.[1]
  const end = /^end 3600 IN TXT "(\d+)"\n$/m.exec(text)?.[1]
  return begin !== undefined && begin === end ? Number(begin) : undefined
}

/** Each file as a layer with its title, under the tag. */
export async function pushFiles(into: Sink, files: Record<string, string>, tag: string): Promise<RawManifest> {
  const layers: Descriptor[] = []
  for (const [title, text] of Object.entries(files)) {
    const layer = blobOf(text, 'application/vnd.oci.image.layer.v1.tar')
    await into.putBlob(layer, () => bytesOf(text))
    layers.push({ ...layer, annotations: { 'org.opencontainers.image.title': title } })
  }
  return imageOf(into, [], { layers, tags: [tag] })
}

async function* bytesOf(text: string): AsyncIterable<Uint8Array> {
  yield Buffer.from(text)
}
