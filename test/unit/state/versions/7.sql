pragma foreign_keys = off;
CREATE TABLE schema_version (version integer not null);
CREATE TABLE facts ("key" text not null primary key, "value" text not null) strict, without rowid;
CREATE TABLE repositories (
    "name" text not null primary key, "version" integer not null, "indexed" integer not null
  ) strict, without rowid;
CREATE TABLE manifests (
    "serial" integer primary key,
    "repository" text not null, "digest" text not null, "mediaType" text not null, "size" integer not null,
    "artifactType" text, "subject" text, "annotations" text, "putAt" integer not null, "neededUntil" integer,
    unique ("repository", "digest")
  ) strict;
CREATE TABLE tags (
    "repository" text not null, "tag" text not null, "digest" text not null,
    primary key ("repository", "tag"),
    foreign key ("repository", "digest") references manifests ("repository", "digest") on delete cascade
  ) strict, without rowid;
CREATE TABLE links (
    "repository" text not null, "digest" text not null, "target" text not null, "kind" text not null,
    primary key ("repository", "digest", "target"),
    foreign key ("repository", "digest") references manifests ("repository", "digest") on delete cascade
  ) strict, without rowid;
CREATE TABLE blobs (
    "repository" text not null, "digest" text not null, "size" integer not null, "usedAt" integer not null,
    primary key ("repository", "digest")
  ) strict, without rowid;
CREATE TABLE bundles ("name" text not null primary key, "newest" integer not null, "followed" text) strict, without rowid;
CREATE TABLE releases (
    "bundle" text not null, "number" integer not null, "bundleDigest" text, "size" integer not null,
    "manifestDigest" text not null, "sourceDigest" text not null, "form" text not null, "version" text not null,
    "revision" text, "activatedAt" integer not null, "reason" text not null, "kept" integer not null,
    primary key ("bundle", "number")
  ) strict;
CREATE TABLE memos (
    "bundle" text not null, "fingerprint" text not null, "recipe" text not null, "verdict" text not null, "at" integer not null,
    primary key ("bundle", "fingerprint", "recipe")
  ) strict, without rowid;
CREATE TABLE looks (
    "bundle" text not null primary key, "startedAt" integer not null, "endedAt" integer not null, "outcome" text not null,
    "trigger" text not null, "version" text, "fingerprint" text, "message" text, "code" text, "failures" integer not null,
    "nextAt" integer
  ) strict, without rowid;
CREATE TABLE deployments (
    "bundle" text not null, "place" text not null, "desired" integer, "deployed" integer, "observed" text,
    "state" text not null, "attempts" integer not null, "nextAttemptAt" integer, "lastError" text,
    "lastAttemptAt" integer, "deployedAt" integer, "forced" integer not null default 0, "forcedDone" integer not null default 0,
    primary key ("bundle", "place")
  ) strict, without rowid;
CREATE TABLE tombstones ("digest" text not null primary key, "at" integer not null) strict, without rowid;
CREATE TABLE holds (
    "bundle" text not null primary key, "at" integer not null, "reason" text not null
  , "by" text not null default 'longshore') strict, without rowid;
CREATE TABLE events (
    "seq" integer primary key, "at" integer not null, "type" text not null, "bundle" text not null,
    "place" text, "by" text, "data" text not null
  ) strict;
CREATE TABLE pins (
    "bundle" text not null primary key, "to" text not null, "by" text not null, "at" integer not null, "reason" text not null
  ) strict, without rowid;
CREATE TABLE switches (
    "bundle" text not null, "place" text not null, "on" integer not null, "by" text not null, "at" integer not null,
    "reason" text not null, primary key ("bundle", "place")
  ) strict, without rowid;
CREATE TABLE "receivers" ("publisher" text not null primary key, "cursor" bigint not null);
CREATE TABLE "messages" ("publisher" text not null, "seq" bigint not null, "bundle" text not null, "event" text not null, "state" text not null, "attempts" integer not null, "queuedAt" bigint not null, "nextAttemptAt" bigint, "lastError" text, constraint "messages_key" primary key ("publisher", "seq"));
CREATE TABLE "rollouts" ("bundle" text not null, "place" text not null, "release" integer not null, "forced" integer not null, "by" text, "begunAt" bigint not null, "failures" integer not null, constraint "rollouts_key" primary key ("bundle", "place"));
CREATE TABLE "approvals" ("bundle" text not null, "source" text not null, "release" integer not null, "digest" text not null, "by" text not null, "at" bigint not null, "reason" text not null, constraint "approvals_key" primary key ("bundle", "source", "release"));
CREATE TABLE "ripe" ("bundle" text not null, "source" text not null, "place" text not null, "release" integer not null, "at" bigint not null, constraint "ripe_key" primary key ("bundle", "source", "place", "release"));
CREATE TABLE "puts" ("bundle" text not null, "place" text not null, "release" integer not null, constraint "puts_key" primary key ("bundle", "place", "release"));
CREATE TABLE "placements" ("bundle" text not null, "place" text not null, "form" text not null, "path" text, "address" text not null, "leftAt" bigint, "deployed" integer, "deployedAt" bigint, "attempts" integer not null, "nextAttemptAt" bigint, "lastError" text, constraint "placements_key" primary key ("bundle", "place"));
insert into "schema_version" ("version") values (7);
insert into "facts" ("key", "value") values ('contentId', 'content-1');
insert into "facts" ("key", "value") values ('example', 'there');
insert into "repositories" ("name", "version", "indexed") values ('bundles/authz', 3, 3);
insert into "repositories" ("name", "version", "indexed") values ('policies/authz', 2, 1);
insert into "manifests" ("serial", "repository", "digest", "mediaType", "size", "artifactType", "subject", "annotations", "putAt", "neededUntil") values (1, 'bundles/authz', 'sha256:32274d73ac384c323115fbf9974fe83552ace9dc90dd3186a0d254c41f5fc796', 'application/vnd.oci.image.manifest.v1+json', 422, NULL, NULL, '{"a":"b"}', 1000, NULL);
insert into "manifests" ("serial", "repository", "digest", "mediaType", "size", "artifactType", "subject", "annotations", "putAt", "neededUntil") values (2, 'policies/authz', 'sha256:32274d73ac384c323115fbf9974fe83552ace9dc90dd3186a0d254c41f5fc796', 'application/vnd.oci.image.manifest.v1+json', 422, NULL, NULL, '{"a":"b"}', 1000, NULL);
insert into "tags" ("repository", "tag", "digest") values ('bundles/authz', 'latest', 'sha256:32274d73ac384c323115fbf9974fe83552ace9dc90dd3186a0d254c41f5fc796');
insert into "tags" ("repository", "tag", "digest") values ('policies/authz', 'latest', 'sha256:32274d73ac384c323115fbf9974fe83552ace9dc90dd3186a0d254c41f5fc796');
insert into "links" ("repository", "digest", "target", "kind") values ('bundles/authz', 'sha256:32274d73ac384c323115fbf9974fe83552ace9dc90dd3186a0d254c41f5fc796', 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', 'blob');
insert into "links" ("repository", "digest", "target", "kind") values ('bundles/authz', 'sha256:32274d73ac384c323115fbf9974fe83552ace9dc90dd3186a0d254c41f5fc796', 'sha256:de9254d5029df5a6128147924e451e7e683ae29c92cd0b8c81cf24f49ae05eb3', 'blob');
insert into "links" ("repository", "digest", "target", "kind") values ('policies/authz', 'sha256:32274d73ac384c323115fbf9974fe83552ace9dc90dd3186a0d254c41f5fc796', 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', 'blob');
insert into "links" ("repository", "digest", "target", "kind") values ('policies/authz', 'sha256:32274d73ac384c323115fbf9974fe83552ace9dc90dd3186a0d254c41f5fc796', 'sha256:de9254d5029df5a6128147924e451e7e683ae29c92cd0b8c81cf24f49ae05eb3', 'blob');
insert into "blobs" ("repository", "digest", "size", "usedAt") values ('bundles/authz', 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', 2, 1000);
insert into "blobs" ("repository", "digest", "size", "usedAt") values ('bundles/authz', 'sha256:de9254d5029df5a6128147924e451e7e683ae29c92cd0b8c81cf24f49ae05eb3', 30, 1000);
insert into "blobs" ("repository", "digest", "size", "usedAt") values ('policies/authz', 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', 2, 1000);
insert into "blobs" ("repository", "digest", "size", "usedAt") values ('policies/authz', 'sha256:88f6811ab5d8fc6d3177f9b7609ae0fcebfda187e5046b62d38bb539e88b74d7', 6, 1000);
insert into "blobs" ("repository", "digest", "size", "usedAt") values ('policies/authz', 'sha256:de9254d5029df5a6128147924e451e7e683ae29c92cd0b8c81cf24f49ae05eb3', 30, 1000);
insert into "bundles" ("name", "newest", "followed") values ('authz', 1, '{"store":"local:policies/authz","follow":{"tag":"latest"}}');
insert into "releases" ("bundle", "number", "bundleDigest", "size", "manifestDigest", "sourceDigest", "form", "version", "revision", "activatedAt", "reason", "kept") values ('authz', 1, 'sha256:de9254d5029df5a6128147924e451e7e683ae29c92cd0b8c81cf24f49ae05eb3', 30, 'sha256:32274d73ac384c323115fbf9974fe83552ace9dc90dd3186a0d254c41f5fc796', 'sha256:32274d73ac384c323115fbf9974fe83552ace9dc90dd3186a0d254c41f5fc796', 'original', '1.0.0', 'rev', 1000, 'first', 1);
insert into "memos" ("bundle", "fingerprint", "recipe", "verdict", "at") values ('authz', 'f', 'r', '{"release":1}', 1000);
insert into "looks" ("bundle", "startedAt", "endedAt", "outcome", "trigger", "version", "fingerprint", "message", "code", "failures", "nextAt") values ('authz', 1, 2, 'released', 'push', '1.0.0', 'f', NULL, NULL, 0, 5000);
insert into "deployments" ("bundle", "place", "desired", "deployed", "observed", "state", "attempts", "nextAttemptAt", "lastError", "lastAttemptAt", "deployedAt", "forced", "forcedDone") values ('authz', 'prod', 1, 1, 'sha256:32274d73ac384c323115fbf9974fe83552ace9dc90dd3186a0d254c41f5fc796', 'done', 1, NULL, NULL, 1000, 1000, 0, 0);
insert into "tombstones" ("digest", "at") values ('sha256:48a7dbf8ff4ab714cf278ff0ef0c2637b77b711bc04787ee543964caec536f16', 1000);
insert into "holds" ("bundle", "at", "reason", "by") values ('authz', 1000, 'somebody held it', 'longshore');
insert into "events" ("seq", "at", "type", "bundle", "place", "by", "data") values (1, 1000, 'bundle.pinned', 'other', NULL, 'ann', '{}');
insert into "pins" ("bundle", "to", "by", "at", "reason") values ('other', '{"tag":"1.0.0"}', 'ann', 1000, 'why');
insert into "switches" ("bundle", "place", "on", "by", "at", "reason") values ('other', '', 0, 'ann', 1000, 'why');
insert into "receivers" ("publisher", "cursor") values ('events', 1);
insert into "messages" ("publisher", "seq", "bundle", "event", "state", "attempts", "queuedAt", "nextAttemptAt", "lastError") values ('events', 1, 'authz', '{"seq":1,"at":1000,"type":"auto_deploy.changed","bundle":"authz","place":null,"by":"ann","data":{"on":true}}', 'parked', 2, 1000, NULL, 'no');
insert into "rollouts" ("bundle", "place", "release", "forced", "by", "begunAt", "failures") values ('authz', 'prod', 1, 0, NULL, 1000, 1);
insert into "approvals" ("bundle", "source", "release", "digest", "by", "at", "reason") values ('prod', 'authz', 1, 'sha256:32274d73ac384c323115fbf9974fe83552ace9dc90dd3186a0d254c41f5fc796', 'ann', 1000, 'why');
insert into "ripe" ("bundle", "source", "place", "release", "at") values ('prod', 'authz', 'prod', 1, 1000);
insert into "puts" ("bundle", "place", "release") values ('authz', 'prod', 1);
insert into "placements" ("bundle", "place", "form", "path", "address", "leftAt", "deployed", "deployedAt", "attempts", "nextAttemptAt", "lastError") values ('authz', 'old', 'unpacked', NULL, '/zones', 1000, 1, 900, 1, 2000, 'no');
CREATE INDEX repositories_stale on repositories ("name") where "version" <> "indexed";
CREATE INDEX manifests_subject on manifests ("repository", "subject", "serial") where "subject" is not null;
CREATE INDEX manifests_digest on manifests ("digest", "size");
CREATE INDEX tags_digest on tags ("repository", "digest");
CREATE INDEX blobs_digest on blobs ("digest", "repository", "size");
CREATE INDEX releases_bundle_digest on releases ("bundle", "bundleDigest", "number");
CREATE INDEX releases_manifest_digest on releases ("bundle", "manifestDigest", "number");
CREATE INDEX releases_source_digest on releases ("bundle", "sourceDigest", "number");
CREATE INDEX releases_kept on releases ("bundle", "kept", "number");
CREATE INDEX links_target on links ("repository", "target");
CREATE INDEX events_bundle on events ("bundle", "seq");
CREATE INDEX "messages_state" on "messages" ("publisher", "state", "bundle", "seq");
CREATE INDEX "releases_kept_manifestDigest" on releases ("manifestDigest") where kept = 1;
CREATE INDEX "releases_kept_sourceDigest" on releases ("sourceDigest") where kept = 1;
