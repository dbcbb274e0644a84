import { send, textBody } from '../../clients/http/request.ts'
import { ConfigError } from '../../lib/errors.ts'
import type { Publisher, PublisherContext } from '../publisher.ts'
import { isWebhook, type SlackPublisherConfig } from './schema.ts'
import { sentenceOf } from './sentence.ts'

/** https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks */
export function createPublisher(config: SlackPublisherConfig, { redactor }: PublisherContext): Publisher {
  return {
    name: config.url.isKnown() ? (URL.parse(config.url.current())?.host ?? 'slack') : 'slack',
    async publish({ event }, signal) {
      const text = sentenceOf(event)
      if (text === undefined) return
      const url = await config.url.read()
      if (!isWebhook(url)) throw new ConfigError('what the file of a Slack webhook holds is no URL')
      const body = textBody('application/json', JSON.stringify({ text: escape(text), mrkdwn: false }))
      const headers = { 'content-type': body.type, 'user-agent': 'longshore' }
      await send({ url, method: 'POST', headers, body }, config, { redactor, signal })
    },
  }
}

/** https://docs.slack.dev/messaging/formatting-message-text#escaping */
function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
