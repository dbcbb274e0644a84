import { readdir, stat } from 'node:fs/promises'
import Gauge from 'prom-client/lib/gauge.js'
import type Registry from 'prom-client/lib/registry.js'
import eventLoopLag from 'prom-client/lib/metrics/eventLoopLag.js'
import gc from 'prom-client/lib/metrics/gc.js'
import heapSize from 'prom-client/lib/metrics/heapSizeAndUsed.js'
import heapSpaces from 'prom-client/lib/metrics/heapSpacesSizeAndUsed.js'
import memory from 'prom-client/lib/metrics/osMemoryHeap.js'
import cpu from 'prom-client/lib/metrics/processCpuTotal.js'
import maxFiles from 'prom-client/lib/metrics/processMaxFileDescriptors.js'
import startTime from 'prom-client/lib/metrics/processStartTime.js'
import version from 'prom-client/lib/metrics/version.js'

/** How finely it is seen how late the event loop runs. */
const lagPrecisionMs = 10

/**
 * What the process and its event loop do, from now on. Not prom-client's lists of handles, requests and resources, and not its count
 * of open files: each makes something for every connection, which held the loop for 20 ms at each scrape of a server with 10,000.
 */
export function registerProcessMetrics(register: Registry): void {
  for (const metric of [cpu, startTime, memory, maxFiles, heapSize, heapSpaces, version, gc]) metric(register)
  eventLoopLag(register, { eventLoopMonitoringPrecision: lagPrecisionMs })
  new Gauge({
    name: 'process_open_fds',
    help: 'Number of open file descriptors.',
    registers: [register],
    async collect() {
      const open = await countOpenFiles().catch(() => undefined)
      if (open !== undefined) this.set(open)
    },
  })
}

/**
 * The kernel tells their number as a size from Linux 6.2 on; before, they are listed. Rejects where there is no such folder.
 * https://docs.kernel.org/filesystems/proc.html#proc-pid-fd-list-of-symlinks-to-open-files
 */
export async function countOpenFiles(folder = '/proc/self/fd'): Promise<number> {
  const { size } = await stat(folder)
  if (size > 0) return size
  // Without the one that lists them.
  return (await readdir(folder)).length - 1
}
