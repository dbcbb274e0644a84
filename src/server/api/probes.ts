import type { Metrics } from '../../lib/metrics.ts'
import type { Control } from '../types.ts'
import type { Answer, Operation } from './operation.ts'

export interface ProbeOptions {
  control: Pick<Control, 'unready' | 'warnings'>
  metrics: Pick<Metrics, 'text' | 'contentType'>
  /** Aborted when the server is about to stop. */
  draining: AbortSignal
}

/** What machines ask every few seconds, and somebody who wants to know what this is: needs neither name, query nor body. */
export interface Probe extends Operation {
  handle(): Promise<Answer> | Answer
}

export function createProbes({ control, metrics, draining }: ProbeOptions): Probe[] {
  const ping = (path: string): Probe => ({
    method: 'GET',
    path,
    summary: 'Whether somebody is there',
    needs: 'nothing',
    answers: { 200: { description: 'pong', schema: 'Pong' } },
    handle: () => ({ body: { message: 'pong' } }),
  })
  return [
    ping('/ping'),
    ping('/ping/'),
    {
      method: 'GET',
      path: '/metrics',
      summary: 'Metrics for Prometheus',
      needs: { action: 'read', of: 'server' },
      answers: { 200: { description: 'Its text format' } },
      handle: async () => ({ body: await metrics.text(), type: metrics.contentType }),
    },
    {
      method: 'GET',
      path: '/health/live',
      summary: 'Whether the process answers',
      needs: 'nothing',
      answers: { 200: { description: 'It does', schema: 'Readiness' } },
      handle: () => ({ body: { ready: true, reasons: [], warnings: [] } }),
    },
    {
      method: 'GET',
      path: '/health/ready',
      summary: 'Whether requests should be sent here',
      needs: 'nothing',
      answers: {
        200: { description: 'Yes', schema: 'Readiness' },
        503: { description: 'No, for these reasons', schema: 'Readiness' },
      },
      async handle() {
        const reasons = draining.aborted ? ['shutting down'] : await control.unready()
        const ready = reasons.length === 0
        return { status: ready ? 200 : 503, body: { ready, reasons, warnings: control.warnings() } }
      },
    },
    {
      method: 'GET',
      path: '/',
      summary: 'What this is',
      needs: 'nothing',
      answers: { 200: { description: 'A few lines for a person' } },
      handle: () => ({ body: welcome, type: 'text/plain; charset=utf-8' }),
    },
  ]
}

const welcome = `longshore: serves bundles from registries and other stores to OPA, and deploys them.

  /bundles/NAME         the current release of a bundle, as OPA asks for it
  /v2/                  an OCI registry to push to; bundles are there as bundles/NAME, read only
  /api/v1/bundles       what is served, since when, and what went wrong
  /api/v1/openapi.json  all of the API
  /metrics              for Prometheus
  /health/ready         whether to send requests here
`
