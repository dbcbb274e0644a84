import { send, textBody } from '../../clients/http/request.ts'
import type { Publisher, PublisherContext, Telling } from '../publisher.ts'
import type { HttpPublisherConfig } from './schema.ts'

/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#32-structured-content-mode */
const mediaType = 'application/cloudevents+json; charset=utf-8'

export function createPublisher(config: HttpPublisherConfig, { redactor }: PublisherContext): Publisher {
  const { url, token } = config
  return {
    name: new URL(url).host,
    async publish(telling, signal) {
      const body = textBody(mediaType, JSON.stringify(cloudEventOf(telling)))
      const headers = {
        'content-type': mediaType,
        'user-agent': 'longshore',
        ...(token !== undefined && { authorization: `Bearer ${await token.read()}` }),
      }
      await send({ url, method: 'POST', headers, body }, config, { redactor, signal })
    },
  }
}

/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md */
export function cloudEventOf({ id, source, event }: Telling): Record<string, unknown> {
  const { at, type, bundle, place } = event
  return {
    specversion: '1.0',
    id,
    source,
    type: `longshore.${type}`,
    subject: place === null ? bundle : `${bundle} at ${place}`,
    time: new Date(at).toISOString(),
    datacontenttype: 'application/json',
    data: event,
  }
}
