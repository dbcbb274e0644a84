/** A request that says that something changed, before anybody knows whether it may. */
export interface Delivery {
  /** By names in lower case. */
  headers: Readonly<Record<string, string | undefined>>
  /** What follows the webhook's name in the path; null where nothing does. */
  urlToken: string | null
  /** Asked for only by those who need it: it is read at the first call. Throws where it is too long. */
  body(): Promise<Buffer>
}

/** Where it may have happened: repositories as their registry calls them, without a host; null where it does not say. */
export type Said = { repositories: readonly string[] | null } | { ignored: string }

/** Somebody who tells us that there may be something new: only that, what there is the store is asked. */
export interface Webhook {
  /** Whether it has the secret that it must have; compared in constant time. */
  admits(delivery: Delivery): Promise<boolean>
  /** What it says. Of what it does not know, or what makes nothing new, why it is ignored. */
  read(delivery: Delivery): Promise<Said>
}
