-- settlement: latest
CREATE OR REPLACE VIEW "public"."parcels_latest_delivery_status" AS SELECT x."id" AS "id", x."ant_parcel_no" AS "ant_parcel_no", x."partner_id" AS "partner_id", x."latest_status" AS "latest_status", x."proof" AS "proof", x."update_at" AS "update_at", x."update_at" AS "last_status_update_at" FROM (SELECT t."id", t."ant_parcel_no", t."partner_id", t."latest_status", t."proof", t."update_at", ROW_NUMBER() OVER (PARTITION BY t."ant_parcel_no", octet_length(t."ant_parcel_no") ORDER BY t."update_at" DESC NULLS LAST, t."id" DESC NULLS LAST) AS s3rs_rank FROM "public"."parcels" AS t WHERE t."ant_parcel_no" IS NOT NULL) AS x WHERE x.s3rs_rank = 1 WITH NO SCHEMA BINDING

-- settlement: group
CREATE OR REPLACE VIEW "public"."parcels_partner_latest_status" AS SELECT y."partner_id" AS "partner_id", y."latest_status" AS "latest_status", y."update_at" AS "last_status_update_at", y."ant_parcel_no" AS "ant_parcel_no" FROM (SELECT x."partner_id", x."latest_status", x."update_at", x."ant_parcel_no", x."id", ROW_NUMBER() OVER (PARTITION BY x."partner_id" ORDER BY x."update_at" DESC NULLS LAST, x."id" DESC NULLS LAST) AS s3rs_group_rank FROM (SELECT t."partner_id", t."latest_status", t."update_at", t."ant_parcel_no", t."id", ROW_NUMBER() OVER (PARTITION BY t."ant_parcel_no", octet_length(t."ant_parcel_no") ORDER BY t."update_at" DESC NULLS LAST, t."id" DESC NULLS LAST) AS s3rs_rank FROM "public"."parcels" AS t WHERE t."ant_parcel_no" IS NOT NULL) AS x WHERE x.s3rs_rank = 1) AS y WHERE y.s3rs_group_rank = 1 WITH NO SCHEMA BINDING

-- settlement: summary
CREATE OR REPLACE VIEW "public"."parcels_status_summary" AS SELECT x."latest_status" AS "latest_status", count(*) AS "entity_count", min(x."update_at") AS "first_status_update_at", max(x."update_at") AS "last_status_update_at" FROM (SELECT t."latest_status", t."update_at", ROW_NUMBER() OVER (PARTITION BY t."ant_parcel_no", octet_length(t."ant_parcel_no") ORDER BY t."update_at" DESC NULLS LAST, t."id" DESC NULLS LAST) AS s3rs_rank FROM "public"."parcels" AS t WHERE t."ant_parcel_no" IS NOT NULL) AS x WHERE x.s3rs_rank = 1 GROUP BY x."latest_status", octet_length(x."latest_status") WITH NO SCHEMA BINDING

-- composite, named: latest
CREATE VIEW "reports"."odd ""name""; --" AS SELECT x."id" AS "id", x."ant_parcel_no" AS "ant_parcel_no", x."partner_id" AS "partner_id", x."latest_status" AS "latest_status", x."proof" AS "proof", x."update_at" AS "update_at", x."partner_id" AS "st""atus", x."id" AS "at" FROM (SELECT t."id", t."ant_parcel_no", t."partner_id", t."latest_status", t."proof", t."update_at", ROW_NUMBER() OVER (PARTITION BY t."id", t."ant_parcel_no", octet_length(t."ant_parcel_no") ORDER BY t."id" DESC NULLS LAST, t."update_at" DESC NULLS LAST) AS s3rs_rank FROM "public"."parcels" AS t WHERE t."id" IS NOT NULL OR t."ant_parcel_no" IS NOT NULL) AS x WHERE x.s3rs_rank = 1 WITH NO SCHEMA BINDING

-- composite, named: group
CREATE VIEW "reports"."by group" AS SELECT y."partner_id" AS "partner_id", y."latest_status" AS "latest_status", y."partner_id" AS "st""atus", y."id" AS "at", y."id" AS "id", y."ant_parcel_no" AS "ant_parcel_no" FROM (SELECT x."partner_id", x."latest_status", x."id", x."ant_parcel_no", x."update_at", ROW_NUMBER() OVER (PARTITION BY x."partner_id", x."latest_status", octet_length(x."latest_status") ORDER BY x."id" DESC NULLS LAST, x."update_at" DESC NULLS LAST) AS s3rs_group_rank FROM (SELECT t."partner_id", t."latest_status", t."id", t."ant_parcel_no", t."update_at", ROW_NUMBER() OVER (PARTITION BY t."id", t."ant_parcel_no", octet_length(t."ant_parcel_no") ORDER BY t."id" DESC NULLS LAST, t."update_at" DESC NULLS LAST) AS s3rs_rank FROM "public"."parcels" AS t WHERE t."id" IS NOT NULL OR t."ant_parcel_no" IS NOT NULL) AS x WHERE x.s3rs_rank = 1) AS y WHERE y.s3rs_group_rank = 1 WITH NO SCHEMA BINDING

-- composite, named: summary
CREATE VIEW "reports"."sum" AS SELECT x."partner_id" AS "st""atus", count(*) AS "entity_count", min(x."id") AS "first_status_update_at", max(x."id") AS "at" FROM (SELECT t."partner_id", t."id", ROW_NUMBER() OVER (PARTITION BY t."id", t."ant_parcel_no", octet_length(t."ant_parcel_no") ORDER BY t."id" DESC NULLS LAST, t."update_at" DESC NULLS LAST) AS s3rs_rank FROM "public"."parcels" AS t WHERE t."id" IS NOT NULL OR t."ant_parcel_no" IS NOT NULL) AS x WHERE x.s3rs_rank = 1 GROUP BY x."partner_id" WITH NO SCHEMA BINDING

-- no key, load columns: latest
CREATE OR REPLACE VIEW "public"."parcels_latest_delivery_status" AS SELECT x."id" AS "id", x."ant_parcel_no" AS "ant_parcel_no", x."partner_id" AS "partner_id", x."latest_status" AS "latest_status", x."proof" AS "proof", x."update_at" AS "update_at", x."update_at" AS "last_status_update_at" FROM (SELECT t."id", t."ant_parcel_no", t."partner_id", t."latest_status", t."proof", t."update_at", ROW_NUMBER() OVER (PARTITION BY t."ant_parcel_no", octet_length(t."ant_parcel_no") ORDER BY t."update_at" DESC NULLS LAST, t."id" DESC NULLS LAST, t."ant_parcel_no" DESC NULLS LAST, t."partner_id" DESC NULLS LAST, t."latest_status" DESC NULLS LAST, t."_s3rs_loaded_at" DESC NULLS LAST, t."_s3rs_run_id" DESC NULLS LAST) AS s3rs_rank FROM "public"."parcels" AS t WHERE t."ant_parcel_no" IS NOT NULL) AS x WHERE x.s3rs_rank = 1 WITH NO SCHEMA BINDING

-- drop
DROP VIEW "reports"."odd ""name""; --"

-- find table
SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename = %s

-- find view
SELECT definition FROM pg_views WHERE schemaname = %s AND viewname = %s

