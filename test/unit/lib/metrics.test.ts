import { open, readdir, stat } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { createMetrics } from '../../../src/lib/metrics.ts'
import { countOpenFiles } from '../../../src/lib/process-metrics.ts'
import { FakeClock } from '../../support/clock.ts'

describe('metrics', () => {
  it('counts what happened, under longshore names with units', async () => {
    const metrics = createMetrics(new FakeClock())
    metrics.looked('authz', 'released')
    metrics.fetched('authz', 1024)
    metrics.failed('look', 'timeout')
    metrics.remoteRequest('ghcr.io', 200)
    metrics.deployed('prod', 'failed')
    metrics.loginFailed('basic')
    metrics.setWaiting(7)
    metrics.setBundleMemory(4096)
    metrics.served('authz', 100)
    metrics.served('authz', 50)
    const text = await metrics.text()
    for (const line of [
      'longshore_looks_total{bundle="authz",outcome="released"} 1',
      'longshore_fetches_total{bundle="authz"} 1',
      'longshore_fetched_bytes_total{bundle="authz"} 1024',
      'longshore_failures_total{kind="look",code="timeout"} 1',
      'longshore_registry_requests_total{host="ghcr.io",status="200"} 1',
      'longshore_deploys_total{place="prod",outcome="failed"} 1',
      'longshore_login_failures_total{scheme="basic"} 1',
      'longshore_waiting_clients 7',
      'longshore_bundle_memory_bytes 4096',
      'longshore_served_bytes_total{bundle="authz"} 150',
    ])
      expect(text.split('\n')).toContain(line)
    expect(metrics.contentType).toContain('text/plain')
  })

  it('shows process figures and how late the event loop runs', async () => {
    const text = await createMetrics(new FakeClock()).text()
    expect(text).toMatch(/^process_resident_memory_bytes \d+/m)
    expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds /m)
    expect(text).toMatch(/^process_open_fds [1-9]/m)
  })

  it('lists nothing for each connection: a scrape would hold everybody up', async () => {
    const text = await createMetrics(new FakeClock()).text()
    expect(text).not.toMatch(/^nodejs_active_/m)
  })

  it('knows how many files are open, from older kernels too', async () => {
    const before = await countOpenFiles()
    const files = await Promise.all(Array.from({ length: 50 }, () => open(import.meta.filename)))
    try {
      expect(await countOpenFiles()).toBeGreaterThanOrEqual(before + 50)
    } finally {
      await Promise.all(files.map((file) => file.close()))
    }
    // As older ones show the other folder: without a size.
    expect((await stat('/proc/sys')).size).toBe(0)
    expect(await countOpenFiles('/proc/sys')).toBe((await readdir('/proc/sys')).length - 1)
  })

  it('keeps requests by route and status, and their time in cumulative buckets', async () => {
    const metrics = createMetrics(new FakeClock())
    metrics.answered('bundles', 200, 0.0004)
    metrics.answered('bundles', 304, 0.02)
    metrics.answered('bundles', 304, 99)
    metrics.answered('bundles', 304)
    const lines = (await metrics.text()).split('\n')
    for (const line of [
      'longshore_http_requests_total{route="bundles",status="200"} 1',
      'longshore_http_requests_total{route="bundles",status="304"} 3',
      'longshore_http_request_duration_seconds_bucket{le="0.0005",route="bundles"} 1',
      'longshore_http_request_duration_seconds_bucket{le="0.01",route="bundles"} 1',
      'longshore_http_request_duration_seconds_bucket{le="0.025",route="bundles"} 2',
      'longshore_http_request_duration_seconds_bucket{le="30",route="bundles"} 2',
      'longshore_http_request_duration_seconds_bucket{le="+Inf",route="bundles"} 3',
      'longshore_http_request_duration_seconds_count{route="bundles"} 3',
    ])
      expect(lines).toContain(line)
    expect(await metrics.text()).toContain('longshore_http_requests_total{route="bundles",status="304"} 3')
  })

  it('computes the age of a release when asked', async () => {
    const clock = new FakeClock()
    const metrics = createMetrics(clock)
    metrics.released('authz', clock.now())
    await clock.advance(90_000)
    expect(await metrics.text()).toContain('longshore_release_age_seconds{bundle="authz"} 90\n')
  })

  it('forgets a bundle that is gone', async () => {
    const metrics = createMetrics(new FakeClock())
    metrics.released('authz', 0)
    metrics.looked('authz', 'failed')
    metrics.fetched('authz', 1)
    metrics.served('authz', 1)
    metrics.forget('authz')
    expect(await metrics.text()).not.toContain('authz')
  })

  it('bounds the hosts it tells apart', async () => {
    const metrics = createMetrics(new FakeClock())
    for (let host = 0; host < 500; host++) metrics.remoteRequest(`h${host}.example`, 200)
    const series = (await metrics.text())
      .split('\n')
      .filter((line) => line.startsWith('longshore_registry_requests_total{'))
    expect(series).toHaveLength(101)
    expect(series.at(-1)).toContain('host="other"')
  })

  it('shares nothing between two of its kind', async () => {
    const [one, other] = [createMetrics(new FakeClock()), createMetrics(new FakeClock())]
    one.deployed('prod', 'done')
    expect(await other.text()).not.toContain('prod')
  })
})
