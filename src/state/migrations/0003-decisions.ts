import { sql, type Kysely } from 'kysely'
import type { Words } from './words.ts'

const statements = ({ keyed, plain, serial }: Words) => [
  // The newest row stays, so no number comes twice.
  `create table events (
    "seq" ${serial}, "at" integer not null, "type" text not null, "bundle" text not null,
    "place" text, "by" text, "data" text not null
  ) ${plain}`,
  `create index events_bundle on events ("bundle", "seq")`,

  // "to" is JSON.
  `create table pins (
    "bundle" text not null primary key, "to" text not null, "by" text not null, "at" integer not null, "reason" text not null
  ) ${keyed}`,

  // "place" is empty where it is about all places of the bundle.
  `create table switches (
    "bundle" text not null, "place" text not null, "on" integer not null, "by" text not null, "at" integer not null,
    "reason" text not null, primary key ("bundle", "place")
  ) ${keyed}`,

  `alter table holds add column "by" text not null default 'longshore'`,

  // How often a person asked for it whatever is there, and how many of these were done.
  `alter table deployments add column "forced" integer not null default 0`,
  `alter table deployments add column "forcedDone" integer not null default 0`,
]

export async function up(db: Kysely<never>, words: Words): Promise<void> {
  for (const statement of statements(words)) await sql.raw(statement).execute(db)
}
