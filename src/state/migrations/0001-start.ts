import { sql, type Kysely } from 'kysely'
import type { Words } from './words.ts'

// Names sort by bytes (SQLite's default collation), so pages are in the order that the distribution specification asks for.
const statements = ({ keyed, plain, serial }: Words) => [
  `create table facts ("key" text not null primary key, "value" text not null) ${keyed}`,

  `create table repositories (
    "name" text not null primary key, "version" integer not null, "indexed" integer not null
  ) ${keyed}`,
  `create index repositories_stale on repositories ("name") where "version" <> "indexed"`,

  `create table manifests (
    "serial" ${serial},
    "repository" text not null, "digest" text not null, "mediaType" text not null, "size" integer not null,
    "artifactType" text, "subject" text, "annotations" text, "putAt" integer not null,
    unique ("repository", "digest")
  ) ${plain}`,
  `create index manifests_subject on manifests ("repository", "subject", "serial") where "subject" is not null`,
  `create index manifests_digest on manifests ("digest", "size")`,

  `create table tags (
    "repository" text not null, "tag" text not null, "digest" text not null,
    primary key ("repository", "tag"),
    foreign key ("repository", "digest") references manifests ("repository", "digest") on delete cascade
  ) ${keyed}`,
  `create index tags_digest on tags ("repository", "digest")`,

  `create table links (
    "repository" text not null, "digest" text not null, "target" text not null, "kind" text not null,
    primary key ("repository", "digest", "target"),
    foreign key ("repository", "digest") references manifests ("repository", "digest") on delete cascade
  ) ${keyed}`,

  `create table blobs (
    "repository" text not null, "digest" text not null, "size" integer not null, "usedAt" integer not null,
    primary key ("repository", "digest")
  ) ${keyed}`,
  `create index blobs_digest on blobs ("digest", "repository", "size")`,

  `create table bundles ("name" text not null primary key, "newest" integer not null) ${keyed}`,

  // With a rowid: without, SQLite would rather walk the whole history than use the indexes below.
  `create table releases (
    "bundle" text not null, "number" integer not null, "bundleDigest" text, "size" integer not null,
    "manifestDigest" text not null, "sourceDigest" text not null, "form" text not null, "version" text not null,
    "revision" text, "activatedAt" integer not null, "reason" text not null, "kept" integer not null,
    primary key ("bundle", "number")
  ) ${plain}`,
  `create index releases_bundle_digest on releases ("bundle", "bundleDigest", "number")`,
  `create index releases_manifest_digest on releases ("bundle", "manifestDigest", "number")`,
  `create index releases_source_digest on releases ("bundle", "sourceDigest", "number")`,
  `create index releases_kept on releases ("bundle", "kept", "number")`,

  `create table memos (
    "bundle" text not null, "fingerprint" text not null, "recipe" text not null, "verdict" text not null, "at" integer not null,
    primary key ("bundle", "fingerprint", "recipe")
  ) ${keyed}`,

  `create table looks (
    "bundle" text not null primary key, "startedAt" integer not null, "endedAt" integer not null, "outcome" text not null,
    "trigger" text not null, "version" text, "fingerprint" text, "message" text, "code" text, "failures" integer not null,
    "nextAt" integer
  ) ${keyed}`,

  `create table deployments (
    "bundle" text not null, "place" text not null, "desired" integer, "deployed" integer, "observed" text,
    "state" text not null, "attempts" integer not null, "nextAttemptAt" integer, "lastError" text,
    "lastAttemptAt" integer, "deployedAt" integer,
    primary key ("bundle", "place")
  ) ${keyed}`,
]

export async function up(db: Kysely<never>, words: Words): Promise<void> {
  for (const statement of statements(words)) await sql.raw(statement).execute(db)
}
