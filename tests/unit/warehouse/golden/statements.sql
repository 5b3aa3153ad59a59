-- find schema
SELECT 1 FROM pg_namespace WHERE nspname = 'it''s'

-- create schema
CREATE SCHEMA IF NOT EXISTS "we""ird"

-- create ledger
CREATE TABLE IF NOT EXISTS "public"."s3rs_load_ledger" (load_id VARCHAR(64) NOT NULL, run_id VARCHAR(64) NOT NULL, generation VARCHAR(64) NOT NULL, source_table VARCHAR(1024) NOT NULL, target VARCHAR(1024) NOT NULL, file_count INTEGER NOT NULL, row_count BIGINT NOT NULL, merged_count BIGINT NOT NULL, manifest VARCHAR(4096) NOT NULL, reaches VARCHAR(16384), loaded_at TIMESTAMP NOT NULL)

-- create target
CREATE TABLE IF NOT EXISTS "public"."parcels" ("id" BIGINT, "update_at" TIMESTAMP, "amount" DECIMAL(10,2), "note" VARCHAR(200))

-- create target with a layout and load columns
CREATE TABLE IF NOT EXISTS "public"."parcels" ("id" BIGINT, "update_at" TIMESTAMP, "amount" DECIMAL(10,2), "note" VARCHAR(200), "_s3rs_loaded_at" TIMESTAMP, "_s3rs_run_id" VARCHAR(64)) DISTSTYLE KEY DISTKEY ("id") SORTKEY ("update_at", "id")

-- create target on every node
CREATE TABLE IF NOT EXISTS "public"."parcels" ("id" BIGINT, "update_at" TIMESTAMP, "amount" DECIMAL(10,2), "note" VARCHAR(200)) DISTSTYLE ALL

-- create staging
CREATE TEMP TABLE "s3rs_stage_parcels" ("id" BIGINT, "update_at" TIMESTAMP, "amount" DECIMAL(10,2), "note" VARCHAR(200))

-- drop
DROP TABLE IF EXISTS "s3rs_stage_parcels"

-- columns
SELECT column_name, data_type, character_maximum_length, numeric_precision, numeric_scale FROM svv_columns WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position

-- copy by role
COPY "s3rs_stage_parcels" ("id", "update_at", "amount", "note") FROM 's3://lake/a''b.manifest' IAM_ROLE 'arn:aws:iam::1:role/x' FORMAT AS PARQUET MANIFEST

-- copy by keys
COPY "s3rs_stage_parcels" ("id", "update_at", "amount", "note") FROM 's3://lake/a.manifest' ACCESS_KEY_ID 'AKIA' SECRET_ACCESS_KEY 'se''cr\\et' FORMAT AS PARQUET MANIFEST

-- count
SELECT count(*) FROM "s3rs_stage_parcels"

-- repeated keys
SELECT 1 FROM "s3rs_stage_parcels" GROUP BY "id" HAVING count(*) > 1 LIMIT 1

-- repeated keys of text
SELECT 1 FROM "s3rs_stage_parcels" GROUP BY "id", RTRIM(TRANSLATE("note", 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')) HAVING count(*) > 1 LIMIT 1

-- delete older by a key whose case does not count
DELETE FROM "public"."parcels" USING "s3rs_newest_parcels" WHERE "public"."parcels"."id" = "s3rs_newest_parcels"."id" AND TRANSLATE("public"."parcels"."note", 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz') = TRANSLATE("s3rs_newest_parcels"."note", 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz') AND octet_length("public"."parcels"."note") = octet_length("s3rs_newest_parcels"."note") AND ("public"."parcels"."update_at" IS NULL OR "public"."parcels"."update_at" <= "s3rs_newest_parcels"."update_at")

-- repeated composite keys
SELECT 1 FROM "s3rs_stage_parcels" GROUP BY "id", "note", octet_length("note") HAVING count(*) > 1 LIMIT 1

-- lock ledger
LOCK "public"."s3rs_load_ledger"

-- find load
SELECT load_id, run_id, row_count, file_count, merged_count, loaded_at FROM "public"."s3rs_load_ledger" WHERE load_id = %s

-- record load
INSERT INTO "public"."s3rs_load_ledger" (load_id, run_id, generation, source_table, target, file_count, row_count, merged_count, manifest, reaches, loaded_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, SYSDATE)

-- reached
SELECT reaches, generation FROM "public"."s3rs_load_ledger" WHERE source_table = %s AND target = %s AND reaches IS NOT NULL ORDER BY loaded_at DESC

-- other source
SELECT source_table FROM "public"."s3rs_load_ledger" WHERE target = %s AND source_table <> %s LIMIT 1

-- pick newest
INSERT INTO "s3rs_newest_parcels" ("id", "update_at", "amount", "note") SELECT x."id", x."update_at", x."amount", x."note" FROM (SELECT s.*, ROW_NUMBER() OVER (PARTITION BY "id" ORDER BY "update_at" DESC NULLS LAST) AS s3rs_rank FROM "s3rs_stage_parcels" AS s) AS x WHERE x.s3rs_rank = 1

-- count known
SELECT count(*) FROM "s3rs_stage_parcels" AS x WHERE EXISTS (SELECT 1 FROM "public"."parcels" AS t WHERE t."id" = x."id")

-- count new
SELECT count(*) FROM "s3rs_stage_parcels" AS x WHERE NOT EXISTS (SELECT 1 FROM "public"."parcels" AS t WHERE t."id" = x."id" AND (t."update_at" > x."update_at" OR x."update_at" IS NULL AND t."update_at" IS NOT NULL))

-- delete older
DELETE FROM "public"."parcels" USING "s3rs_stage_parcels" WHERE "public"."parcels"."id" = "s3rs_stage_parcels"."id" AND ("public"."parcels"."update_at" IS NULL OR "public"."parcels"."update_at" <= "s3rs_stage_parcels"."update_at")

-- delete older by composite key
DELETE FROM "public"."parcels" USING "s3rs_newest_parcels" WHERE "public"."parcels"."id" = "s3rs_newest_parcels"."id" AND "public"."parcels"."note" = "s3rs_newest_parcels"."note" AND octet_length("public"."parcels"."note") = octet_length("s3rs_newest_parcels"."note") AND ("public"."parcels"."update_at" IS NULL OR "public"."parcels"."update_at" <= "s3rs_newest_parcels"."update_at")

-- count new without a cursor
SELECT count(*) FROM "s3rs_stage_parcels" AS x WHERE NOT EXISTS (SELECT 1 FROM "public"."parcels" AS t WHERE t."id" = x."id" AND t."update_at" > %s)

-- delete older by the horizon
DELETE FROM "public"."parcels" USING "s3rs_stage_parcels" WHERE "public"."parcels"."id" = "s3rs_stage_parcels"."id" AND ("public"."parcels"."update_at" IS NULL OR "public"."parcels"."update_at" <= %s)

-- update older
UPDATE "public"."parcels" SET "id" = "s3rs_stage_parcels"."id", "update_at" = "s3rs_stage_parcels"."update_at", "amount" = "s3rs_stage_parcels"."amount", "note" = "s3rs_stage_parcels"."note" FROM "s3rs_stage_parcels" WHERE "public"."parcels"."id" = "s3rs_stage_parcels"."id" AND ("public"."parcels"."update_at" IS NULL OR "public"."parcels"."update_at" <= "s3rs_stage_parcels"."update_at")

-- update older and its load columns
UPDATE "public"."parcels" SET "id" = "s3rs_stage_parcels"."id", "update_at" = "s3rs_stage_parcels"."update_at", "amount" = "s3rs_stage_parcels"."amount", "note" = "s3rs_stage_parcels"."note", "_s3rs_loaded_at" = GETDATE(), "_s3rs_run_id" = '20260131T120000Z-1a2b3c' FROM "s3rs_stage_parcels" WHERE "public"."parcels"."id" = "s3rs_stage_parcels"."id" AND ("public"."parcels"."update_at" IS NULL OR "public"."parcels"."update_at" <= "s3rs_stage_parcels"."update_at")

-- insert missing
INSERT INTO "public"."parcels" ("id", "update_at", "amount", "note") SELECT x."id", x."update_at", x."amount", x."note" FROM "s3rs_stage_parcels" AS x WHERE NOT EXISTS (SELECT 1 FROM "public"."parcels" AS t WHERE t."id" = x."id")

-- insert missing with load columns
INSERT INTO "public"."parcels" ("id", "update_at", "amount", "note", "_s3rs_loaded_at", "_s3rs_run_id") SELECT x."id", x."update_at", x."amount", x."note", GETDATE(), '20260131T120000Z-1a2b3c' FROM "s3rs_stage_parcels" AS x WHERE NOT EXISTS (SELECT 1 FROM "public"."parcels" AS t WHERE t."id" = x."id")

-- repeated versions
SELECT 1 FROM "s3rs_stage_parcels" GROUP BY "id", COALESCE(CAST("update_at" AS VARCHAR(40)), '') HAVING count(*) > 1 LIMIT 1

-- pick versions
INSERT INTO "s3rs_newest_parcels" ("id", "update_at", "amount", "note") SELECT x."id", x."update_at", x."amount", x."note" FROM (SELECT s.*, ROW_NUMBER() OVER (PARTITION BY "id", COALESCE(CAST("update_at" AS VARCHAR(40)), '') ORDER BY "update_at") AS s3rs_rank FROM "s3rs_stage_parcels" AS s) AS x WHERE x.s3rs_rank = 1

-- count new versions
SELECT count(*) FROM "s3rs_stage_parcels" AS x WHERE NOT EXISTS (SELECT 1 FROM "public"."parcels" AS t WHERE t."id" = x."id" AND COALESCE(CAST(t."update_at" AS VARCHAR(40)), '') = COALESCE(CAST(x."update_at" AS VARCHAR(40)), ''))

-- count new versions by a composite key
SELECT count(*) FROM "s3rs_newest_parcels" AS x WHERE NOT EXISTS (SELECT 1 FROM "public"."parcels" AS t WHERE t."id" = x."id" AND t."note" = x."note" AND octet_length(t."note") = octet_length(x."note") AND COALESCE(CAST(t."update_at" AS VARCHAR(40)), '') = COALESCE(CAST(x."update_at" AS VARCHAR(40)), ''))

-- insert new versions
INSERT INTO "public"."parcels" ("id", "update_at", "amount", "note", "_s3rs_loaded_at", "_s3rs_run_id") SELECT x."id", x."update_at", x."amount", x."note", GETDATE(), '20260131T120000Z-1a2b3c' FROM "s3rs_stage_parcels" AS x WHERE NOT EXISTS (SELECT 1 FROM "public"."parcels" AS t WHERE t."id" = x."id" AND COALESCE(CAST(t."update_at" AS VARCHAR(40)), '') = COALESCE(CAST(x."update_at" AS VARCHAR(40)), ''))

-- insert all
INSERT INTO "public"."parcels" ("id", "update_at", "amount", "note") SELECT x."id", x."update_at", x."amount", x."note" FROM "s3rs_stage_parcels" AS x

-- count between
SELECT count(*) FROM "public"."parcels" WHERE "update_at" > %s AND "update_at" <= %s

-- create shadow
CREATE TABLE IF NOT EXISTS "public"."s3rs_shadow_ff924018319e_e661f4c935e8_parcels" ("id" BIGINT, "update_at" TIMESTAMP, "amount" DECIMAL(10,2), "note" VARCHAR(200)) DISTSTYLE KEY DISTKEY ("id") SORTKEY ("update_at", "id")

-- tables
SELECT table_name FROM svv_tables WHERE table_schema = %s

-- gathered
SELECT count(*), COALESCE(SUM(row_count), 0) FROM "public"."s3rs_load_ledger" WHERE source_table = %s AND target = %s AND generation = %s

-- later run that ended
SELECT run_id FROM "public"."s3rs_load_ledger" WHERE source_table = %s AND target = %s AND run_id > %s AND reaches IS NOT NULL LIMIT 1

-- delete all
DELETE FROM "public"."parcels"

-- fill
INSERT INTO "public"."parcels" ("id", "update_at", "amount", "note") SELECT x."id", x."update_at", x."amount", x."note" FROM "public"."s3rs_shadow_ff924018319e_e661f4c935e8_parcels" AS x

-- fill with load columns
INSERT INTO "public"."parcels" ("id", "update_at", "amount", "note", "_s3rs_loaded_at", "_s3rs_run_id") SELECT x."id", x."update_at", x."amount", x."note", GETDATE(), '20260131T120000Z-1a2b3c' FROM "public"."s3rs_shadow_ff924018319e_e661f4c935e8_parcels" AS x

-- create target that marks rows
CREATE TABLE IF NOT EXISTS "public"."parcels" ("id" BIGINT, "update_at" TIMESTAMP, "amount" DECIMAL(10,2), "note" VARCHAR(200), "_s3rs_deleted_at" TIMESTAMP)

-- unmark
UPDATE "public"."parcels" SET "id" = "s3rs_stage_parcels"."id", "update_at" = "s3rs_stage_parcels"."update_at", "amount" = "s3rs_stage_parcels"."amount", "note" = "s3rs_stage_parcels"."note", "_s3rs_deleted_at" = NULL FROM "s3rs_stage_parcels" WHERE "public"."parcels"."id" = "s3rs_stage_parcels"."id" AND ("public"."parcels"."update_at" IS NULL OR "public"."parcels"."update_at" <= "s3rs_stage_parcels"."update_at")

-- keep own columns
CREATE TEMP TABLE "s3rs_kept_parcels" AS SELECT x.* FROM (SELECT t."id", t."update_at", t."mine", t."yours", ROW_NUMBER() OVER (PARTITION BY t."id" ORDER BY t."update_at" DESC NULLS LAST) AS s3rs_rank FROM "public"."parcels" AS t WHERE EXISTS (SELECT 1 FROM "s3rs_stage_parcels" AS s WHERE t."id" = s."id")) AS x WHERE x.s3rs_rank = 1

-- keep own columns of versions
CREATE TEMP TABLE "s3rs_kept_parcels" AS SELECT x.* FROM (SELECT t."id", t."update_at", t."mine", ROW_NUMBER() OVER (PARTITION BY t."id", COALESCE(CAST(t."update_at" AS VARCHAR(40)), '') ORDER BY t."update_at" DESC NULLS LAST) AS s3rs_rank FROM "public"."parcels" AS t WHERE EXISTS (SELECT 1 FROM "s3rs_stage_parcels" AS s WHERE t."id" = s."id" AND COALESCE(CAST(t."update_at" AS VARCHAR(40)), '') = COALESCE(CAST(s."update_at" AS VARCHAR(40)), ''))) AS x WHERE x.s3rs_rank = 1

-- delete staged
DELETE FROM "public"."parcels" USING "s3rs_newest_parcels" WHERE "public"."parcels"."id" = "s3rs_newest_parcels"."id" AND "public"."parcels"."note" = "s3rs_newest_parcels"."note" AND octet_length("public"."parcels"."note") = octet_length("s3rs_newest_parcels"."note")

-- delete staged versions
DELETE FROM "public"."parcels" USING "s3rs_stage_parcels" WHERE "public"."parcels"."id" = "s3rs_stage_parcels"."id" AND COALESCE(CAST("public"."parcels"."update_at" AS VARCHAR(40)), '') = COALESCE(CAST("s3rs_stage_parcels"."update_at" AS VARCHAR(40)), '')

-- insert mended
INSERT INTO "public"."parcels" ("id", "update_at", "amount", "note") SELECT x."id", x."update_at", x."amount", x."note" FROM "s3rs_stage_parcels" AS x

-- insert mended beside own columns
INSERT INTO "public"."parcels" ("id", "update_at", "amount", "note", "_s3rs_loaded_at", "_s3rs_run_id", "mine") SELECT x."id", x."update_at", x."amount", x."note", GETDATE(), '20260131T120000Z-1a2b3c', k."mine" FROM "s3rs_stage_parcels" AS x LEFT JOIN "s3rs_kept_parcels" AS k ON k."id" = x."id" AND k."note" = x."note" AND octet_length(k."note") = octet_length(x."note")

-- later run
SELECT run_id FROM "public"."s3rs_load_ledger" WHERE source_table = %s AND target = %s AND run_id > %s AND file_count > 0 LIMIT 1

-- keys that are gone
CREATE TEMP TABLE "s3rs_gone_parcels" ("id" BIGINT, "note" VARCHAR(200))

-- delete what is gone
DELETE FROM "public"."parcels" USING "s3rs_gone_parcels" WHERE "public"."parcels"."id" = "s3rs_gone_parcels"."id" AND "public"."parcels"."note" = "s3rs_gone_parcels"."note" AND octet_length("public"."parcels"."note") = octet_length("s3rs_gone_parcels"."note")

-- mark what is gone
UPDATE "public"."parcels" SET "_s3rs_deleted_at" = GETDATE() FROM "s3rs_gone_parcels" WHERE "public"."parcels"."id" = "s3rs_gone_parcels"."id" AND "public"."parcels"."_s3rs_deleted_at" IS NULL

-- delete what has NULL in its key
DELETE FROM "public"."parcels" WHERE ("id" IS NULL OR "note" IS NULL) AND (amount > 3)

-- mark what has NULL in its key
UPDATE "public"."parcels" SET "_s3rs_deleted_at" = GETDATE() WHERE ("id" IS NULL) AND TRUE AND "_s3rs_deleted_at" IS NULL

-- count live
SELECT count(*) FROM "public"."parcels" WHERE "_s3rs_deleted_at" IS NULL

-- loads
SELECT count(*) FROM "public"."s3rs_load_ledger" WHERE source_table = %s AND target = %s

-- live positions without a cursor
SELECT "update_at", "id" FROM "public"."parcels" WHERE "update_at" IS NULL AND "_s3rs_deleted_at" IS NULL

-- positions
SELECT "update_at", "id" FROM "public"."parcels" WHERE "update_at" >= %s AND "update_at" <= %s

-- positions without a cursor
SELECT "update_at", "id" FROM "public"."parcels" WHERE "update_at" IS NULL

-- aggregates
SELECT count("id"), count("update_at"), count("amount"), count("note"), min("id"), max("id"), min("update_at"), max("update_at"), min("amount"), max("amount") FROM "public"."parcels" WHERE "update_at" <= %s

-- statement timeout
SET statement_timeout TO 7200000

-- analyze
ANALYZE "public"."parcels"

-- session id
SELECT pg_backend_pid()

-- load error
SELECT trim(file_name), trim(column_name), trim(column_type), trim(column_length), line_number, error_code, trim(error_message) FROM sys_load_error_detail WHERE session_id = %s AND start_time > dateadd(day, -1, getdate()) ORDER BY start_time DESC LIMIT 1

