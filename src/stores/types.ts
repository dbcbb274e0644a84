export type { StoreConfig } from './schemas.ts'

/** The config's words for stores; their schemas stand in `schemas.ts`. `paths`: keys that are paths, relative to the config file. */
export const storeTypes = {
  oci: { paths: [], load: () => import('./oci/index.ts') },
  'oci-layout': { paths: ['path'], load: () => import('./oci-layout/index.ts') },
  local: { paths: [], load: () => import('./local/index.ts') },
  bundle: { paths: [], load: () => import('./bundle/index.ts') },
}
