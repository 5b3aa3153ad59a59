-- select by cursor
/* s3rs-ray run=20260131T235959Z-1a2b3c chunk=7 */ SELECT `ID` AS `ID`, `update_at` AS `update_at`, CAST(`amount` AS CHAR) AS `amount`, `note` AS `note` FROM `settlement`.`parcels` FORCE INDEX (`by_update`) WHERE (`update_at` > TIMESTAMP'2026-01-31 23:59:59.999999' OR (`update_at` = TIMESTAMP'2026-01-31 23:59:59.999999' AND `ID` > 5)) AND (`update_at` < TIMESTAMP'2026-01-31 23:59:59.999999' OR (`update_at` = TIMESTAMP'2026-01-31 23:59:59.999999' AND `ID` <= 7))

-- select by cursor, guarded
/* s3rs-ray run=20260131T235959Z-1a2b3c chunk=7 */ SELECT `ID` AS `ID`, IF(FROM_DAYS(TO_DAYS(`update_at`))=DATE(`update_at`),`update_at`,NULL) AS `update_at`, CAST(`amount` AS CHAR) AS `amount`, `note` AS `note`, ISNULL(`update_at`) AS s3rs_null_dates_null FROM `settlement`.`parcels` FORCE INDEX (`by_update`) WHERE (`update_at` > TIMESTAMP'2026-01-31 23:59:59.999999' OR (`update_at` = TIMESTAMP'2026-01-31 23:59:59.999999' AND `ID` > 5)) AND (`update_at` < TIMESTAMP'2026-01-31 23:59:59.999999' OR (`update_at` = TIMESTAMP'2026-01-31 23:59:59.999999' AND `ID` <= 7))

-- select by key
/* s3rs-ray run=20260131T235959Z-1a2b3c chunk=7 */ SELECT `ID` AS `ID`, `update_at` AS `update_at`, CAST(`amount` AS CHAR) AS `amount`, `note` AS `note` FROM `settlement`.`parcels` FORCE INDEX (`PRIMARY`) WHERE `ID` > 100 AND `ID` <= 200 AND (`update_at` > TIMESTAMP'2026-01-31 23:59:59.999999' OR (`update_at` = TIMESTAMP'2026-01-31 23:59:59.999999' AND `ID` > 5)) AND (`update_at` < TIMESTAMP'2026-02-01 00:00:00.000000' OR (`update_at` = TIMESTAMP'2026-02-01 00:00:00.000000' AND `ID` <= 9))

-- select by key, all of a first window
/* s3rs-ray run=20260131T235959Z-1a2b3c chunk=7 */ SELECT `ID` AS `ID`, `update_at` AS `update_at`, CAST(`amount` AS CHAR) AS `amount`, `note` AS `note` FROM `settlement`.`parcels` FORCE INDEX (`PRIMARY`) WHERE (`update_at` < TIMESTAMP'2026-01-31 23:59:59.999999' OR (`update_at` = TIMESTAMP'2026-01-31 23:59:59.999999' AND `ID` <= 5))

-- select without an index
/* s3rs-ray run=20260131T235959Z-1a2b3c chunk=7 */ SELECT `ID` AS `ID`, `update_at` AS `update_at`, CAST(`amount` AS CHAR) AS `amount`, `note` AS `note` FROM `settlement`.`parcels` WHERE `ID` > 100 AND `ID` <= 200 AND (`update_at` > TIMESTAMP'2026-01-31 23:59:59.999999' OR (`update_at` = TIMESTAMP'2026-01-31 23:59:59.999999' AND `ID` > 5)) AND (`update_at` < TIMESTAMP'2026-02-01 00:00:00.000000' OR (`update_at` = TIMESTAMP'2026-02-01 00:00:00.000000' AND `ID` <= 9))

-- select without dates
/* s3rs-ray run=20260131T235959Z-1a2b3c chunk=7 */ SELECT `ID` AS `ID`, CAST(`amount` AS CHAR) AS `amount`, `note` AS `note` FROM `settlement`.`parcels` FORCE INDEX (`by_update`) WHERE (`update_at` > TIMESTAMP'2026-01-31 23:59:59.999999' OR (`update_at` = TIMESTAMP'2026-01-31 23:59:59.999999' AND `ID` > 5)) AND (`update_at` < TIMESTAMP'2026-01-31 23:59:59.999999' OR (`update_at` = TIMESTAMP'2026-01-31 23:59:59.999999' AND `ID` <= 7))

-- select of a text that may hold strays
/* s3rs-ray run=20260131T235959Z-1a2b3c chunk=7 */ SELECT `c` AS `c`, CASE WHEN (LOCATE('?',CONVERT(`c` USING utf8mb4) COLLATE utf8mb4_bin) AND CHAR_LENGTH(REPLACE(`c`,'?',''))<>CHAR_LENGTH(REPLACE(CONVERT(`c` USING utf8mb4) COLLATE utf8mb4_bin,'?','')) OR LOCATE(_utf8mb4 x'EFBFBD',CONVERT(`c` USING utf8mb4) COLLATE utf8mb4_bin)) THEN 1 ELSE 0 END AS s3rs_unmapped, CAST(@s3rs_rows AS SIGNED) AS s3rs_rows FROM `settlement`.`parcels` FORCE INDEX (`by_update`) WHERE (`update_at` > TIMESTAMP'2026-01-31 23:59:59.999999' OR (`update_at` = TIMESTAMP'2026-01-31 23:59:59.999999' AND `ID` > 5)) AND (`update_at` < TIMESTAMP'2026-01-31 23:59:59.999999' OR (`update_at` = TIMESTAMP'2026-01-31 23:59:59.999999' AND `ID` <= 7))

-- count
SELECT COUNT(*) FROM `settlement`.`parcels` FORCE INDEX (`by_update`) WHERE (`update_at` > TIMESTAMP'2026-01-31 23:59:59.999999' OR (`update_at` = TIMESTAMP'2026-01-31 23:59:59.999999' AND `ID` > 5)) AND (`update_at` < TIMESTAMP'2026-01-31 23:59:59.999999' OR (`update_at` = TIMESTAMP'2026-01-31 23:59:59.999999' AND `ID` <= 7))

-- boundary
SELECT `update_at`, `ID` FROM `settlement`.`parcels` FORCE INDEX (`by_update`) WHERE (`update_at` > TIMESTAMP'2026-01-31 23:59:59.999999' OR (`update_at` = TIMESTAMP'2026-01-31 23:59:59.999999' AND `ID` > 5)) AND (`update_at` < TIMESTAMP'2026-02-01 00:00:00.000000' OR (`update_at` = TIMESTAMP'2026-02-01 00:00:00.000000' AND `ID` <= 9)) ORDER BY `update_at`, `ID` LIMIT 2 OFFSET 999

-- boundary of one row by key
SELECT `ID` FROM `settlement`.`parcels` FORCE INDEX (`PRIMARY`) WHERE (`update_at` < TIMESTAMP'2026-01-31 23:59:59.999999' OR (`update_at` = TIMESTAMP'2026-01-31 23:59:59.999999' AND `ID` <= 5)) ORDER BY `ID` LIMIT 2 OFFSET 0

-- high watermark
SELECT `update_at`, `ID` FROM `settlement`.`parcels` FORCE INDEX (`by_update`) WHERE `update_at` <= TIMESTAMP'2026-01-31 23:59:59.999999' ORDER BY `update_at` DESC, `ID` DESC LIMIT 1

-- high watermark behind another
SELECT `update_at`, `ID` FROM `settlement`.`parcels` FORCE INDEX (`by_update`) WHERE (`update_at` > TIMESTAMP'2026-01-31 23:59:59.999999' OR (`update_at` = TIMESTAMP'2026-01-31 23:59:59.999999' AND `ID` > 5)) AND `update_at` <= TIMESTAMP'2026-01-31 23:59:59.999999' ORDER BY `update_at` DESC, `ID` DESC LIMIT 1

-- high watermark behind one set by hand
SELECT `update_at`, `ID` FROM `settlement`.`parcels` FORCE INDEX (`by_update`) WHERE `update_at` >= TIMESTAMP'2026-01-31 23:59:59.999999' AND `update_at` <= TIMESTAMP'2026-01-31 23:59:59.999999' ORDER BY `update_at` DESC, `ID` DESC LIMIT 1

-- high watermark with a limit
SELECT `update_at`, `ID` FROM `settlement`.`parcels` FORCE INDEX (`by_update`) WHERE `update_at` <= TIMESTAMP'2026-01-31 23:59:59.999999' ORDER BY `update_at`, `ID` LIMIT 1 OFFSET 499

-- high watermark of odd names
SELECT `update_at`, `day`, `ID` FROM `we``ird`.`in dex` FORCE INDEX (`by ``it```) WHERE `update_at` <= TIMESTAMP'2026-01-31 23:59:59.999999' ORDER BY `update_at` DESC, `day` DESC, `ID` DESC LIMIT 1

-- null cursors
SELECT COUNT(*) FROM `settlement`.`parcels` FORCE INDEX (`by_update`) WHERE `update_at` IS NULL

