/** What a person asked for cannot be done: 400, with this message. */
export class BadWish extends Error {}
