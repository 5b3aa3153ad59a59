-- sums: here
SELECT s3rs_bucket, COUNT(*), SUM(CAST(CONV(LEFT(s3rs_md5,15),16,10) AS UNSIGNED)), SUM(CAST(CONV(SUBSTRING(s3rs_md5,16,15),16,10) AS UNSIGNED)) FROM (SELECT ABS(CAST(MOD(`ID`-MOD(`ID`,200),8) AS SIGNED)) AS s3rs_bucket, CONVERT(MD5(CONCAT_WS(',',IFNULL(`ID`,''),IF(FROM_DAYS(TO_DAYS(`update_at`))=DATE(`update_at`),TIMESTAMPDIFF(MICROSECOND,TIMESTAMP'2000-01-01 00:00:00',`update_at`),''),IFNULL(`amount`,''),IFNULL(OCTET_LENGTH(`note`),''),IFNULL(`note`,''))) USING latin1) AS s3rs_md5 FROM `settlement`.`parcels` FORCE INDEX (`PRIMARY`) WHERE `ID` > 100 AND `ID` <= 200 AND ((`update_at` < TIMESTAMP'2026-01-31 12:00:00.500000' OR (`update_at` = TIMESTAMP'2026-01-31 12:00:00.500000' AND `ID` <= 7))) AND TRUE LIMIT 18446744073709551615) AS s3rs_rows GROUP BY s3rs_bucket

-- sums: there
SELECT s3rs_range, s3rs_bucket, count(*), SUM(CAST(STRTOL(LEFT(s3rs_md5,15),16) AS DECIMAL(38,0))), SUM(CAST(STRTOL(SUBSTRING(s3rs_md5,16,15),16) AS DECIMAL(38,0))) FROM (SELECT 0 AS s3rs_range, COALESCE(ABS(MOD("id"-MOD("id",200),8)),0) AS s3rs_bucket, MD5(((COALESCE(CAST("id" AS VARCHAR),'')||','||COALESCE(CAST(DATEDIFF(microsecond,TIMESTAMP '2000-01-01 00:00:00',"update_at") AS VARCHAR),''))||','||(COALESCE(CAST("amount" AS VARCHAR),'')||','||COALESCE(CAST(OCTET_LENGTH("note") AS VARCHAR)||','||"note",',')))) AS s3rs_md5 FROM "public"."parcels" WHERE "id" > 100 AND "id" <= 200 AND TRUE) AS s3rs_rows GROUP BY s3rs_range, s3rs_bucket

-- sums of some buckets of the whole table: here
SELECT s3rs_bucket, COUNT(*), SUM(CAST(CONV(LEFT(s3rs_md5,15),16,10) AS UNSIGNED)), SUM(CAST(CONV(SUBSTRING(s3rs_md5,16,15),16,10) AS UNSIGNED)) FROM (SELECT ABS(CAST(MOD(`ID`-MOD(`ID`,200),64) AS SIGNED)) AS s3rs_bucket, CONVERT(MD5(CONCAT_WS(',',IFNULL(`ID`,''),IF(FROM_DAYS(TO_DAYS(`update_at`))=DATE(`update_at`),TIMESTAMPDIFF(MICROSECOND,TIMESTAMP'2000-01-01 00:00:00',`update_at`),''),IFNULL(`amount`,''),IFNULL(OCTET_LENGTH(`note`),''),IFNULL(`note`,''))) USING latin1) AS s3rs_md5 FROM `settlement`.`parcels` WHERE ((`update_at` < TIMESTAMP'2026-01-31 12:00:00.500000' OR (`update_at` = TIMESTAMP'2026-01-31 12:00:00.500000' AND `ID` <= 7))) AND TRUE AND (ABS(CAST(MOD(`ID`-MOD(`ID`,200),64) AS SIGNED)) BETWEEN 0 AND 7 OR ABS(CAST(MOD(`ID`-MOD(`ID`,200),64) AS SIGNED)) BETWEEN 24 AND 31) LIMIT 18446744073709551615) AS s3rs_rows GROUP BY s3rs_bucket

-- sums of some buckets of the whole table: there
SELECT s3rs_range, s3rs_bucket, count(*), SUM(CAST(STRTOL(LEFT(s3rs_md5,15),16) AS DECIMAL(38,0))), SUM(CAST(STRTOL(SUBSTRING(s3rs_md5,16,15),16) AS DECIMAL(38,0))) FROM (SELECT 0 AS s3rs_range, COALESCE(ABS(MOD("id"-MOD("id",200),64)),0) AS s3rs_bucket, MD5(((COALESCE(CAST("id" AS VARCHAR),'')||','||COALESCE(CAST(DATEDIFF(microsecond,TIMESTAMP '2000-01-01 00:00:00',"update_at") AS VARCHAR),''))||','||(COALESCE(CAST("amount" AS VARCHAR),'')||','||COALESCE(CAST(OCTET_LENGTH("note") AS VARCHAR)||','||"note",',')))) AS s3rs_md5 FROM "public"."parcels" WHERE TRUE AND (COALESCE(ABS(MOD("id"-MOD("id",200),64)),0) BETWEEN 0 AND 7 OR COALESCE(ABS(MOD("id"-MOD("id",200),64)),0) BETWEEN 24 AND 31)) AS s3rs_rows GROUP BY s3rs_range, s3rs_bucket

-- counts alone: here
SELECT 0 AS s3rs_bucket, COUNT(*), 0, 0 FROM `settlement`.`parcels` FORCE INDEX (`PRIMARY`) WHERE `ID` > 100 AND `ID` <= 200 AND ((`update_at` < TIMESTAMP'2026-01-31 12:00:00.500000' OR (`update_at` = TIMESTAMP'2026-01-31 12:00:00.500000' AND `ID` <= 7))) AND TRUE GROUP BY s3rs_bucket

-- counts alone: there
SELECT s3rs_range, s3rs_bucket, count(*), 0, 0 FROM (SELECT 0 AS s3rs_range, 0 AS s3rs_bucket FROM "public"."parcels" WHERE "id" > 100 AND "id" <= 200 AND TRUE) AS s3rs_rows GROUP BY s3rs_range, s3rs_bucket

-- counts by bucket: here
SELECT ABS(CAST(MOD(`ID`-MOD(`ID`,200),8) AS SIGNED)) AS s3rs_bucket, COUNT(*), 0, 0 FROM `settlement`.`parcels` FORCE INDEX (`PRIMARY`) WHERE `ID` > 100 AND `ID` <= 200 AND ((`update_at` < TIMESTAMP'2026-01-31 12:00:00.500000' OR (`update_at` = TIMESTAMP'2026-01-31 12:00:00.500000' AND `ID` <= 7))) AND TRUE GROUP BY s3rs_bucket

-- counts by bucket: there
SELECT s3rs_range, s3rs_bucket, count(*), 0, 0 FROM (SELECT 0 AS s3rs_range, COALESCE(ABS(MOD("id"-MOD("id",200),8)),0) AS s3rs_bucket FROM "public"."parcels" WHERE "id" > 100 AND "id" <= 200 AND TRUE) AS s3rs_rows GROUP BY s3rs_range, s3rs_bucket

-- sums under conditions: here
SELECT s3rs_bucket, COUNT(*), SUM(CAST(CONV(LEFT(s3rs_md5,15),16,10) AS UNSIGNED)), SUM(CAST(CONV(SUBSTRING(s3rs_md5,16,15),16,10) AS UNSIGNED)) FROM (SELECT ABS(CAST(MOD(`ID`-MOD(`ID`,200),8) AS SIGNED)) AS s3rs_bucket, CONVERT(MD5(CONCAT_WS(',',IFNULL(`ID`,''),IF(FROM_DAYS(TO_DAYS(`update_at`))=DATE(`update_at`),TIMESTAMPDIFF(MICROSECOND,TIMESTAMP'2000-01-01 00:00:00',`update_at`),''),IFNULL(`amount`,''),IFNULL(OCTET_LENGTH(`note`),''),IFNULL(`note`,''))) USING latin1) AS s3rs_md5 FROM `settlement`.`parcels` FORCE INDEX (`PRIMARY`) WHERE `ID` > 100 AND `ID` <= 200 AND (((`update_at` < TIMESTAMP'2026-01-31 12:00:00.500000' OR (`update_at` = TIMESTAMP'2026-01-31 12:00:00.500000' AND `ID` <= 7))) OR `update_at` IS NULL) AND ((amount > 3) AND `update_at` >= TIMESTAMP'2026-01-31 12:00:00.500000') LIMIT 18446744073709551615) AS s3rs_rows GROUP BY s3rs_bucket

-- sums under conditions: there
SELECT s3rs_range, s3rs_bucket, count(*), SUM(CAST(STRTOL(LEFT(s3rs_md5,15),16) AS DECIMAL(38,0))), SUM(CAST(STRTOL(SUBSTRING(s3rs_md5,16,15),16) AS DECIMAL(38,0))) FROM (SELECT 0 AS s3rs_range, COALESCE(ABS(MOD("id"-MOD("id",200),8)),0) AS s3rs_bucket, MD5(((COALESCE(CAST("id" AS VARCHAR),'')||','||COALESCE(CAST(DATEDIFF(microsecond,TIMESTAMP '2000-01-01 00:00:00',"update_at") AS VARCHAR),''))||','||(COALESCE(CAST("amount" AS VARCHAR),'')||','||COALESCE(CAST(OCTET_LENGTH("note") AS VARCHAR)||','||"note",',')))) AS s3rs_md5 FROM "public"."parcels" WHERE "id" > 100 AND "id" <= 200 AND ((amount > 3) AND "update_at" >= TIMESTAMP '2026-01-31 12:00:00.500000')) AS s3rs_rows GROUP BY s3rs_range, s3rs_bucket

-- buckets of two columns: here
ABS(MOD(CAST(MOD(`ID`,8) AS SIGNED)*31+CAST(MOD(`part`,8) AS SIGNED),8))

-- buckets of two columns: there
COALESCE(ABS(MOD(MOD("id",8)*31+MOD("part",8),8)),0) IN (1)

-- buckets of a text: here
CAST(CONV(LEFT(MD5(CONCAT_WS(',',IFNULL(OCTET_LENGTH(`note`),''),IFNULL(`note`,''))),8),16,10) AS UNSIGNED)%8

-- buckets of a text: there
MOD(STRTOL(LEFT(MD5(COALESCE(CAST(OCTET_LENGTH("note") AS VARCHAR)||','||"note",',')),8),16),8) IN (1)

-- rows of buckets: here
SELECT (((`update_at` < TIMESTAMP'2026-01-31 12:00:00.500000' OR (`update_at` = TIMESTAMP'2026-01-31 12:00:00.500000' AND `ID` <= 7)))) IS TRUE, (TRUE) IS TRUE, MD5(CONCAT_WS(',',IFNULL(`ID`,''),IF(FROM_DAYS(TO_DAYS(`update_at`))=DATE(`update_at`),TIMESTAMPDIFF(MICROSECOND,TIMESTAMP'2000-01-01 00:00:00',`update_at`),''),IFNULL(`amount`,''),IFNULL(OCTET_LENGTH(`note`),''),IFNULL(`note`,''))), `ID` FROM `settlement`.`parcels` FORCE INDEX (`PRIMARY`) WHERE `ID` > 100 AND `ID` <= 200 AND ABS(CAST(MOD(`ID`-MOD(`ID`,200),11) AS SIGNED)) IN (1, 5)

-- rows of buckets: there
SELECT 0, CASE WHEN TRUE THEN 1 ELSE 0 END, MD5(((COALESCE(CAST("id" AS VARCHAR),'')||','||COALESCE(CAST(DATEDIFF(microsecond,TIMESTAMP '2000-01-01 00:00:00',"update_at") AS VARCHAR),''))||','||(COALESCE(CAST("amount" AS VARCHAR),'')||','||COALESCE(CAST(OCTET_LENGTH("note") AS VARCHAR)||','||"note",',')))), "id" FROM "public"."parcels" WHERE "id" > 100 AND "id" <= 200 AND COALESCE(ABS(MOD("id"-MOD("id",200),11)),0) IN (1, 5)

-- rows of buckets, with texts, where the source knows their places: here
SELECT (((`update_at` < TIMESTAMP'2026-01-31 12:00:00.500000' OR (`update_at` = TIMESTAMP'2026-01-31 12:00:00.500000' AND `ID` <= 7)))) IS TRUE, (TRUE) IS TRUE, '', `ID`, CONCAT_WS(',',IFNULL(`ID`,'')), CONCAT_WS(',',IF(FROM_DAYS(TO_DAYS(`update_at`))=DATE(`update_at`),TIMESTAMPDIFF(MICROSECOND,TIMESTAMP'2000-01-01 00:00:00',`update_at`),'')), CONCAT_WS(',',IFNULL(`amount`,'')), CONCAT_WS(',',IFNULL(OCTET_LENGTH(`note`),''),IFNULL(`note`,'')) FROM `settlement`.`parcels` FORCE INDEX (`PRIMARY`) WHERE `ID` > 100 AND `ID` <= 700 AND (`ID` BETWEEN 101 AND 199) AND ABS(CAST(MOD(`ID`-MOD(`ID`,200),11) AS SIGNED)) IN (0, 7)

-- rows of buckets, with texts, where the source knows their places: there
SELECT 0, CASE WHEN TRUE THEN 1 ELSE 0 END, '', "id", COALESCE(CAST("id" AS VARCHAR),''), COALESCE(CAST(DATEDIFF(microsecond,TIMESTAMP '2000-01-01 00:00:00',"update_at") AS VARCHAR),''), COALESCE(CAST("amount" AS VARCHAR),''), COALESCE(CAST(OCTET_LENGTH("note") AS VARCHAR)||','||"note",',') FROM "public"."parcels" WHERE "id" > 100 AND "id" <= 700 AND COALESCE(ABS(MOD("id"-MOD("id",200),11)),0) IN (0, 7)

-- rows of keys: here
SELECT (((`update_at` < TIMESTAMP'2026-01-31 12:00:00.500000' OR (`update_at` = TIMESTAMP'2026-01-31 12:00:00.500000' AND `ID` <= 7)))) IS TRUE, (TRUE) IS TRUE, '', `ID`, CONCAT_WS(',',IFNULL(`ID`,'')), CONCAT_WS(',',IF(FROM_DAYS(TO_DAYS(`update_at`))=DATE(`update_at`),TIMESTAMPDIFF(MICROSECOND,TIMESTAMP'2000-01-01 00:00:00',`update_at`),'')), CONCAT_WS(',',IFNULL(`amount`,'')), CONCAT_WS(',',IFNULL(OCTET_LENGTH(`note`),''),IFNULL(`note`,'')) FROM `settlement`.`parcels` FORCE INDEX (`PRIMARY`) WHERE ((`ID` = 7) OR (`ID` = 8))

-- rows of keys: there
SELECT 0, CASE WHEN TRUE THEN 1 ELSE 0 END, '', "id", COALESCE(CAST("id" AS VARCHAR),''), COALESCE(CAST(DATEDIFF(microsecond,TIMESTAMP '2000-01-01 00:00:00',"update_at") AS VARCHAR),''), COALESCE(CAST("amount" AS VARCHAR),''), COALESCE(CAST(OCTET_LENGTH("note") AS VARCHAR)||','||"note",',') FROM "public"."parcels" WHERE "id" IN (7, 8)

-- places of buckets from the start: here
`ID` <= 700 AND (`ID` < -300) AND ABS(CAST(MOD(`ID`-MOD(`ID`,200),11) AS SIGNED)) IN (7, 8)

-- places of buckets that hold no row: here
`ID` > 100 AND `ID` <= 200 AND FALSE AND ABS(CAST(MOD(`ID`-MOD(`ID`,200),11) AS SIGNED)) IN (7, 8)

-- both ends of the key: here
SELECT MIN(`ID`), MAX(`ID`) FROM `settlement`.`parcels` FORCE INDEX (`PRIMARY`)

-- rows behind the watermark: here
SELECT COUNT(*) FROM `settlement`.`parcels` FORCE INDEX (`by_update`) WHERE (`update_at` > TIMESTAMP'2026-01-31 12:00:00.500000' OR (`update_at` = TIMESTAMP'2026-01-31 12:00:00.500000' AND `ID` > 7)) AND TRUE

-- sums of a history: there
SELECT s3rs_range, s3rs_bucket, count(*), SUM(CAST(STRTOL(LEFT(s3rs_md5,15),16) AS DECIMAL(38,0))), SUM(CAST(STRTOL(SUBSTRING(s3rs_md5,16,15),16) AS DECIMAL(38,0))) FROM (SELECT 0 AS s3rs_range, COALESCE(ABS(MOD("id"-MOD("id",200),8)),0) AS s3rs_bucket, MD5(((COALESCE(CAST("id" AS VARCHAR),'')||','||COALESCE(CAST(DATEDIFF(microsecond,TIMESTAMP '2000-01-01 00:00:00',"update_at") AS VARCHAR),''))||','||(COALESCE(CAST("amount" AS VARCHAR),'')||','||COALESCE(CAST(OCTET_LENGTH("note") AS VARCHAR)||','||"note",',')))) AS s3rs_md5 FROM (SELECT t.*, RANK() OVER (PARTITION BY "id" ORDER BY "update_at" DESC NULLS LAST) AS s3rs_rank FROM "public"."parcels" AS t WHERE "id" > 100 AND "id" <= 200) AS x WHERE s3rs_rank = 1 AND TRUE) AS s3rs_rows GROUP BY s3rs_range, s3rs_bucket

-- counts of ranges, some of which touch: there
SELECT s3rs_range, s3rs_bucket, count(*), 0, 0 FROM (SELECT CASE WHEN "id" IS NULL THEN 0 ELSE CASE WHEN "id" <= 200 THEN CASE WHEN "id" <= 100 THEN 0 ELSE 1 END ELSE CASE WHEN "id" <= 400 THEN 2 ELSE 3 END END END AS s3rs_range, COALESCE(ABS(MOD("id"-MOD("id",200),8)),0) AS s3rs_bucket FROM "public"."parcels" WHERE (("id" <= 200 OR "id" IS NULL) OR "id" > 300) AND TRUE) AS s3rs_rows GROUP BY s3rs_range, s3rs_bucket

-- rows of buckets of two ranges of two columns: there
SELECT CASE WHEN "id" IS NULL OR "part" IS NULL THEN 0 ELSE CASE WHEN ("id" < 1 OR ("id" = 1 AND "part" <= 2)) THEN 0 ELSE 1 END END, CASE WHEN TRUE THEN 1 ELSE 0 END, '', "id", "part" FROM "public"."parcels" WHERE ((("id" < 1 OR ("id" = 1 AND "part" <= 2)) OR "id" IS NULL OR "part" IS NULL) OR (("id" > 5 OR ("id" = 5 AND "part" > 6)) AND "id" < 7) AND NOT "part" IS NULL) AND COALESCE(ABS(MOD(MOD("id",8)*31+MOD("part",8),8)),0) IN (1, 2) AND (((("id" < 1 OR ("id" = 1 AND "part" <= 2)) OR "id" IS NULL OR "part" IS NULL) AND COALESCE(ABS(MOD(MOD("id",8)*31+MOD("part",8),8)),0) IN (1)) OR ((("id" > 5 OR ("id" = 5 AND "part" > 6)) AND "id" < 7) AND NOT "part" IS NULL AND COALESCE(ABS(MOD(MOD("id",8)*31+MOD("part",8),8)),0) IN (2)))

-- rows of a text key: there
SELECT 0, CASE WHEN TRUE THEN 1 ELSE 0 END, '', "note" FROM "public"."parcels" WHERE TRANSLATE("note", 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz') IN ('ab ''c')

-- integer: here
CONCAT_WS(',',IFNULL(`c`+0,''))

-- integer: there
COALESCE(CAST("c" AS VARCHAR),'')

-- decimal: here
CONCAT_WS(',',IFNULL(`c`,''))

-- decimal: there
COALESCE(CAST("c" AS VARCHAR),'')

-- date: here
CONCAT_WS(',',IF(FROM_DAYS(TO_DAYS(`c`))=`c`,DATEDIFF(`c`,DATE'2000-01-01'),''))

-- date: there
COALESCE(CAST(DATEDIFF(day,DATE '2000-01-01',"c") AS VARCHAR),'')

-- moment: here
CONCAT_WS(',',IF(FROM_DAYS(TO_DAYS(`c`))=DATE(`c`),TIMESTAMPDIFF(MICROSECOND,TIMESTAMP'2000-01-01 00:00:00',`c`),''))

-- moment: there
COALESCE(CAST(DATEDIFF(microsecond,TIMESTAMP '2000-01-01 00:00:00',"c") AS VARCHAR),'')

-- time: here
CONCAT_WS(',',IFNULL(TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'2000-01-01 00:00:00.000000', ADDTIME(TIMESTAMP'2000-01-01 00:00:00.000000', `c`)),''))

-- time: there
COALESCE(CAST("c" AS VARCHAR),'')

-- short text: here
CONCAT_WS(',',IFNULL(OCTET_LENGTH(`c`),''),IFNULL(`c`,''))

-- short text: there
COALESCE(CAST(OCTET_LENGTH("c") AS VARCHAR)||','||"c",',')

-- text of another character set: here
CONCAT_WS(',',IFNULL(OCTET_LENGTH(CONVERT(`c` USING utf8mb4)),''),IFNULL(CONVERT(`c` USING utf8mb4),''))

-- text of another character set: there
COALESCE(CAST(OCTET_LENGTH("c") AS VARCHAR)||','||"c",',')

-- text: here
CONCAT_WS(',',IFNULL(OCTET_LENGTH(`c`),''),IFNULL(IF(OCTET_LENGTH(`c`)>1000,MD5(`c`),`c`),''))

-- text: there
COALESCE(CAST(OCTET_LENGTH("c") AS VARCHAR)||','||CASE WHEN OCTET_LENGTH("c")>1000 THEN MD5("c") ELSE "c" END,',')

-- text of an expression: here
CONCAT_WS(',',IFNULL(MD5(CAST(`c` AS CHAR)),''))

-- text of an expression: there
COALESCE(MD5("c"),'')

-- short binary value: here
CONCAT_WS(',',IFNULL(CONCAT('x',LOWER(HEX(`c`))),''))

-- short binary value: there
COALESCE('x'||LOWER(TO_HEX("c")),'')

-- binary value: here
CONCAT_WS(',',IFNULL(CONCAT('x',LOWER(HEX(`c`))),''))

-- binary value: there
COALESCE('x'||LOWER(TO_HEX("c")),'')

-- large binary value: here
CONCAT_WS(',',IFNULL(CASE WHEN OCTET_LENGTH(`c`)<=32000 THEN MD5(LOWER(HEX(`c`))) ELSE MD5(CONCAT(MD5(LOWER(HEX(SUBSTRING(`c`,1,32000)))),MD5(LOWER(HEX(SUBSTRING(`c`,32001,32000)))),MD5(LOWER(HEX(SUBSTRING(`c`,64001,32000)))))) END,''))

-- large binary value: there
COALESCE(CASE WHEN OCTET_LENGTH("c")<=32000 THEN MD5(LOWER(TO_HEX("c"))) ELSE MD5(MD5(LOWER(TO_HEX(SUBSTRING("c",1,32000))))||MD5(LOWER(TO_HEX(SUBSTRING("c",32001,32000))))||MD5(LOWER(TO_HEX(SUBSTRING("c",64001,32000))))) END,'')

-- single: here
CONCAT_WS(',',CASE WHEN ABS(`c`*1e0)>=1.8189894035458565e-12 AND ABS(`c`*1e0)<4.611686018427388e+18 THEN CONCAT(IF(`c`*1e0<0,'-',''),CAST(FLOOR(ABS(`c`*1e0)) AS SIGNED),':',CAST((ABS(`c`*1e0)-FLOOR(ABS(`c`*1e0)))*4.611686018427388e+18 AS SIGNED)) WHEN `c`*1e0=0 THEN '0' WHEN `c`*1e0 IS NULL THEN '' ELSE CONCAT(IF(`c`*1e0<0,'-',''),CASE WHEN ABS(`c`*1e0)>=4.611686018427388e+18 THEN CONCAT('0:',CAST(FLOOR(ABS(`c`*1e0)*3.944304526105059e-31) AS SIGNED),':',CAST((ABS(`c`*1e0)*3.944304526105059e-31-FLOOR(ABS(`c`*1e0)*3.944304526105059e-31))*4.611686018427388e+18 AS SIGNED)) WHEN ABS(`c`*1e0)>=7.174648137343064e-43 THEN CONCAT('2:',CAST(FLOOR(ABS(`c`*1e0)*2.535301200456459e+30) AS SIGNED),':',CAST((ABS(`c`*1e0)*2.535301200456459e+30-FLOOR(ABS(`c`*1e0)*2.535301200456459e+30))*4.611686018427388e+18 AS SIGNED)) WHEN ABS(`c`*1e0)>=0.0e0 THEN CONCAT('3:',CAST(FLOOR(ABS(`c`*1e0)*6.427752177035961e+60) AS SIGNED),':',CAST((ABS(`c`*1e0)*6.427752177035961e+60-FLOOR(ABS(`c`*1e0)*6.427752177035961e+60))*4.611686018427388e+18 AS SIGNED)) END) END)

-- single: there
CASE WHEN ABS(CAST("c" AS DOUBLE PRECISION))>=CAST('1.8189894035458565e-12' AS DOUBLE PRECISION) AND ABS(CAST("c" AS DOUBLE PRECISION))<CAST('4.611686018427388e+18' AS DOUBLE PRECISION) THEN CASE WHEN CAST("c" AS DOUBLE PRECISION)<0 THEN '-' ELSE '' END||CAST(CAST(FLOOR(ABS(CAST("c" AS DOUBLE PRECISION))) AS BIGINT) AS VARCHAR)||':'||CAST(CAST((ABS(CAST("c" AS DOUBLE PRECISION))-FLOOR(ABS(CAST("c" AS DOUBLE PRECISION))))*CAST('4.611686018427388e+18' AS DOUBLE PRECISION) AS BIGINT) AS VARCHAR) WHEN CAST("c" AS DOUBLE PRECISION)=0 THEN '0' WHEN CAST("c" AS DOUBLE PRECISION) IS NULL THEN '' ELSE CASE WHEN CAST("c" AS DOUBLE PRECISION)<0 THEN '-' ELSE '' END||CASE WHEN ABS(CAST("c" AS DOUBLE PRECISION))>CAST('3.4028234663852886e+38' AS DOUBLE PRECISION) THEN 'none' WHEN ABS(CAST("c" AS DOUBLE PRECISION))>=CAST('4.611686018427388e+18' AS DOUBLE PRECISION) THEN '0:'||CAST(CAST(FLOOR(ABS(CAST("c" AS DOUBLE PRECISION))*CAST('3.944304526105059e-31' AS DOUBLE PRECISION)) AS BIGINT) AS VARCHAR)||':'||CAST(CAST((ABS(CAST("c" AS DOUBLE PRECISION))*CAST('3.944304526105059e-31' AS DOUBLE PRECISION)-FLOOR(ABS(CAST("c" AS DOUBLE PRECISION))*CAST('3.944304526105059e-31' AS DOUBLE PRECISION)))*CAST('4.611686018427388e+18' AS DOUBLE PRECISION) AS BIGINT) AS VARCHAR) WHEN ABS(CAST("c" AS DOUBLE PRECISION))>=CAST('7.174648137343064e-43' AS DOUBLE PRECISION) THEN '2:'||CAST(CAST(FLOOR(ABS(CAST("c" AS DOUBLE PRECISION))*CAST('2.535301200456459e+30' AS DOUBLE PRECISION)) AS BIGINT) AS VARCHAR)||':'||CAST(CAST((ABS(CAST("c" AS DOUBLE PRECISION))*CAST('2.535301200456459e+30' AS DOUBLE PRECISION)-FLOOR(ABS(CAST("c" AS DOUBLE PRECISION))*CAST('2.535301200456459e+30' AS DOUBLE PRECISION)))*CAST('4.611686018427388e+18' AS DOUBLE PRECISION) AS BIGINT) AS VARCHAR) WHEN ABS(CAST("c" AS DOUBLE PRECISION))>=CAST('0.0' AS DOUBLE PRECISION) THEN '3:'||CAST(CAST(FLOOR(ABS(CAST("c" AS DOUBLE PRECISION))*CAST('6.427752177035961e+60' AS DOUBLE PRECISION)) AS BIGINT) AS VARCHAR)||':'||CAST(CAST((ABS(CAST("c" AS DOUBLE PRECISION))*CAST('6.427752177035961e+60' AS DOUBLE PRECISION)-FLOOR(ABS(CAST("c" AS DOUBLE PRECISION))*CAST('6.427752177035961e+60' AS DOUBLE PRECISION)))*CAST('4.611686018427388e+18' AS DOUBLE PRECISION) AS BIGINT) AS VARCHAR) END END

-- text that is cut: here
CONCAT_WS(',',IFNULL(MD5(CASE WHEN COALESCE(ORD(SUBSTRING(CAST(REPLACE(`c` COLLATE utf8mb4_bin,_utf8mb4 x'00','') AS BINARY),65536,1)),0) NOT BETWEEN 128 AND 191 THEN LEFT(CAST(REPLACE(`c` COLLATE utf8mb4_bin,_utf8mb4 x'00','') AS BINARY),65535) WHEN COALESCE(ORD(SUBSTRING(CAST(REPLACE(`c` COLLATE utf8mb4_bin,_utf8mb4 x'00','') AS BINARY),65535,1)),0) NOT BETWEEN 128 AND 191 THEN LEFT(CAST(REPLACE(`c` COLLATE utf8mb4_bin,_utf8mb4 x'00','') AS BINARY),65534) WHEN COALESCE(ORD(SUBSTRING(CAST(REPLACE(`c` COLLATE utf8mb4_bin,_utf8mb4 x'00','') AS BINARY),65534,1)),0) NOT BETWEEN 128 AND 191 THEN LEFT(CAST(REPLACE(`c` COLLATE utf8mb4_bin,_utf8mb4 x'00','') AS BINARY),65533) ELSE LEFT(CAST(REPLACE(`c` COLLATE utf8mb4_bin,_utf8mb4 x'00','') AS BINARY),65532) END),''))

-- text that is cut: there
COALESCE(MD5("c"),'')

