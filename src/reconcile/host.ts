/** What a store or a place shares with others that hang when it hangs: its registry, or this machine's disk. */
export function hostOf(address: string): string {
  return address.startsWith('local:') ? '' : address.split('/', 1)[0]!
}
