import type { StoreConfig } from '../stores/types.ts'
import type { BundleConfig } from './config.ts'

/** Where the bytes of a bundle are: what is not pulled stays where the first one that it was promoted from found it. */
export function originOf(
  { pull, store }: Pick<BundleConfig, 'pull' | 'store'>,
  bundles: readonly BundleConfig[],
): StoreConfig {
  if (pull || store.type !== 'bundle') return store
  const from = bundles.find(({ name }) => name === store.from)
  return from === undefined ? store : originOf(from, bundles)
}
