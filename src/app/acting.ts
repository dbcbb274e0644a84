import type { Content } from '../content/content.ts'
import type { Lease } from '../state/state.ts'

/** Who no longer acts leaves the folder to the one that does: also the work in progress there. */
export function whileActing(content: Content, lease: Lease): Content {
  return {
    ...content,
    remove: (digest, confirm) =>
      content.remove(digest, async () => {
        await lease.check()
        return (await confirm?.()) ?? true
      }),
    async close() {
      const isOurs = await lease.check().then(
        () => true,
        () => false,
      )
      if (isOurs) await content.close()
    },
  }
}
