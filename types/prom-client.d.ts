// The parts of prom-client as modules of their own, which the package has and its types do not.
declare module 'prom-client/lib/counter.js' {
  import { Counter } from 'prom-client'
  export default Counter
}

declare module 'prom-client/lib/gauge.js' {
  import { Gauge } from 'prom-client'
  export default Gauge
}

declare module 'prom-client/lib/histogram.js' {
  import { Histogram } from 'prom-client'
  export default Histogram
}

declare module 'prom-client/lib/registry.js' {
  import { Registry } from 'prom-client'
  export default Registry
}

declare module 'prom-client/lib/metrics/eventLoopLag.js' {
  import type { DefaultMetricsCollectorConfiguration, Registry, RegistryContentType } from 'prom-client'
  export default function register(
    registry: Registry,
    config?: DefaultMetricsCollectorConfiguration<RegistryContentType>,
  ): void
}

declare module 'prom-client/lib/metrics/gc.js' {
  import type { DefaultMetricsCollectorConfiguration, Registry, RegistryContentType } from 'prom-client'
  export default function register(
    registry: Registry,
    config?: DefaultMetricsCollectorConfiguration<RegistryContentType>,
  ): void
}

declare module 'prom-client/lib/metrics/heapSizeAndUsed.js' {
  import type { DefaultMetricsCollectorConfiguration, Registry, RegistryContentType } from 'prom-client'
  export default function register(
    registry: Registry,
    config?: DefaultMetricsCollectorConfiguration<RegistryContentType>,
  ): void
}

declare module 'prom-client/lib/metrics/heapSpacesSizeAndUsed.js' {
  import type { DefaultMetricsCollectorConfiguration, Registry, RegistryContentType } from 'prom-client'
  export default function register(
    registry: Registry,
    config?: DefaultMetricsCollectorConfiguration<RegistryContentType>,
  ): void
}

declare module 'prom-client/lib/metrics/osMemoryHeap.js' {
  import type { DefaultMetricsCollectorConfiguration, Registry, RegistryContentType } from 'prom-client'
  export default function register(
    registry: Registry,
    config?: DefaultMetricsCollectorConfiguration<RegistryContentType>,
  ): void
}

declare module 'prom-client/lib/metrics/processCpuTotal.js' {
  import type { DefaultMetricsCollectorConfiguration, Registry, RegistryContentType } from 'prom-client'
  export default function register(
    registry: Registry,
    config?: DefaultMetricsCollectorConfiguration<RegistryContentType>,
  ): void
}

declare module 'prom-client/lib/metrics/processMaxFileDescriptors.js' {
  import type { DefaultMetricsCollectorConfiguration, Registry, RegistryContentType } from 'prom-client'
  export default function register(
    registry: Registry,
    config?: DefaultMetricsCollectorConfiguration<RegistryContentType>,
  ): void
}

declare module 'prom-client/lib/metrics/processStartTime.js' {
  import type { DefaultMetricsCollectorConfiguration, Registry, RegistryContentType } from 'prom-client'
  export default function register(
    registry: Registry,
    config?: DefaultMetricsCollectorConfiguration<RegistryContentType>,
  ): void
}

declare module 'prom-client/lib/metrics/version.js' {
  import type { DefaultMetricsCollectorConfiguration, Registry, RegistryContentType } from 'prom-client'
  export default function register(
    registry: Registry,
    config?: DefaultMetricsCollectorConfiguration<RegistryContentType>,
  ): void
}
