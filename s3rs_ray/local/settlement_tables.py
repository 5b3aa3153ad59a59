"""The tables of the settlement case as text: their definition, and the value of every column of row number ``n``.

Every value is a function of the row's number and a seed, so the same call gives the same rows on every server.
Only types that arrive exactly in the warehouse are used; within them the values go to the limits: decimals with all
digits used, 2^64-1, emoji, empty strings and trailing spaces beside NULL, TINYINT(1) with the value 2, a year 9999.
Floating-point values are multiples of a power of two, so that their sums are exact in any order.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

__all__ = [
    "CLAIM_TABLE",
    "DATABASE",
    "DELIVERY_TABLE",
    "PARTNERS",
    "PARTNER_TABLE",
    "SCHEMA",
    "Rows",
    "first_free_row",
]

DATABASE: Final = "settlement"
DELIVERY_TABLE: Final = "settlement_normal_delivery_detail"
CLAIM_TABLE: Final = "settlement_claim_detail"
PARTNER_TABLE: Final = "settlement_partner_info"
PARTNERS: Final = 500

_GAP_EVERY_ROWS, _GAP = 10_000, 50_021

SCHEMA: Final = (
    f"CREATE DATABASE IF NOT EXISTS `{DATABASE}` CHARACTER SET utf8mb4",
    f"""CREATE TABLE IF NOT EXISTS `{DATABASE}`.`{DELIVERY_TABLE}` (
        `ID` BIGINT NOT NULL AUTO_INCREMENT,
        `ant_parcel_no` VARCHAR(32) NOT NULL,
        `partner_id` VARCHAR(16) NOT NULL,
        `partner_name` VARCHAR(80) DEFAULT NULL,
        `latest_status` VARCHAR(24) NOT NULL,
        `order_no` VARCHAR(32) DEFAULT NULL,
        `waybill_no` CHAR(18) DEFAULT NULL,
        `delivery_type` ENUM('standard','express','same day','return') NOT NULL,
        `service_flags` SET('cod','fragile','cold','signature') DEFAULT NULL,
        `is_cod` TINYINT(1) NOT NULL,
        `is_returned` TINYINT(1) DEFAULT NULL,
        `attempt_count` TINYINT UNSIGNED NOT NULL DEFAULT 0,
        `zone_code` SMALLINT DEFAULT NULL,
        `route_no` SMALLINT UNSIGNED DEFAULT NULL,
        `hub_id` MEDIUMINT UNSIGNED DEFAULT NULL,
        `courier_id` INT UNSIGNED DEFAULT NULL,
        `batch_no` BIGINT UNSIGNED DEFAULT NULL,
        `weight_g` INT DEFAULT NULL,
        `volume_l` FLOAT DEFAULT NULL,
        `latitude` DOUBLE DEFAULT NULL,
        `longitude` DOUBLE DEFAULT NULL,
        `goods_value` DECIMAL(10,2) DEFAULT NULL,
        `delivery_fee` DECIMAL(10,2) NOT NULL,
        `cod_amount` DECIMAL(12,2) DEFAULT NULL,
        `insurance_fee` DECIMAL(10,2) DEFAULT NULL,
        `fuel_surcharge` DECIMAL(8,3) NOT NULL,
        `discount_points` DECIMAL(9,0) DEFAULT NULL,
        `tax_rate` DECIMAL(5,4) DEFAULT NULL,
        `tax_amount` DECIMAL(14,4) DEFAULT NULL,
        `partner_share` DECIMAL(18,6) NOT NULL,
        `platform_share` DECIMAL(18,6) DEFAULT NULL,
        `exchange_rate` DECIMAL(18,10) DEFAULT NULL,
        `settlement_amount` DECIMAL(20,4) NOT NULL,
        `accrued_amount` DECIMAL(38,10) DEFAULT NULL,
        `ledger_units` DECIMAL(38,0) DEFAULT NULL,
        `currency` CHAR(3) NOT NULL,
        `recipient_city` VARCHAR(60) DEFAULT NULL,
        `recipient_note` TEXT DEFAULT NULL,
        `sender_address` VARCHAR(80) CHARACTER SET latin1 DEFAULT NULL,
        `failure_reason` VARCHAR(120) DEFAULT NULL,
        `remark` VARCHAR(255) DEFAULT NULL,
        `attributes` JSON DEFAULT NULL,
        `settlement_year` YEAR DEFAULT NULL,
        `pickup_date` DATE DEFAULT NULL,
        `delivery_date` DATE DEFAULT NULL,
        `promised_at` DATETIME DEFAULT NULL,
        `scanned_at` DATETIME(6) DEFAULT NULL,
        `synced_at` DATETIME(3) DEFAULT NULL,
        `signed_at` TIMESTAMP NULL DEFAULT NULL,
        `created_at` DATETIME NOT NULL,
        `update_at` DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
        PRIMARY KEY (`ID`),
        KEY `idx_update_at` (`update_at`)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
    f"""CREATE TABLE IF NOT EXISTS `{DATABASE}`.`{CLAIM_TABLE}` (
        `ID` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
        `ant_parcel_no` VARCHAR(32) NOT NULL,
        `partner_id` VARCHAR(16) NOT NULL,
        `claim_type` ENUM('lost','damaged','late') NOT NULL,
        `claim_amount` DECIMAL(12,2) NOT NULL,
        `approved_amount` DECIMAL(12,2) DEFAULT NULL,
        `description` TEXT DEFAULT NULL,
        `opened_on` DATE NOT NULL,
        `update_at` DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
        PRIMARY KEY (`ID`),
        KEY `idx_update_at` (`update_at`)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
    f"""CREATE TABLE IF NOT EXISTS `{DATABASE}`.`{PARTNER_TABLE}` (
        `ID` INT UNSIGNED NOT NULL AUTO_INCREMENT,
        `partner_id` VARCHAR(16) NOT NULL,
        `partner_name` VARCHAR(80) NOT NULL,
        `active` TINYINT(1) NOT NULL DEFAULT 1,
        `commission_rate` DECIMAL(6,5) NOT NULL,
        `contract_from` DATE NOT NULL,
        `contract_to` DATE DEFAULT NULL,
        `update_at` DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
        PRIMARY KEY (`ID`),
        UNIQUE KEY `uk_partner_id` (`partner_id`),
        KEY `idx_update_at` (`update_at`)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
)


def first_free_row(highest_id: int) -> int:
    """The smallest row number whose ID is above ``highest_id`` (0 for an empty table)."""
    low, high = 1, highest_id + 2
    while low < high:
        middle = (low + high) // 2
        if middle * 3 + middle // _GAP_EVERY_ROWS * _GAP > highest_id:
            high = middle
        else:
            low = middle + 1
    return low


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """How rows are made.

    Attributes:
        seed: another seed, other values.
        first: ``created_at`` of the first row, ``YYYY-MM-DD HH:MM:SS``.
        span_s: seconds from ``first`` to the newest ``update_at`` of all.
        first_row, last_row: the row numbers, both included.
    """

    seed: int
    first: str
    span_s: int
    first_row: int
    last_row: int

    def delivery_sql(self) -> str:
        """INSERT of the rows into the delivery table; ``n`` is the row's number."""
        columns = self._delivery_columns()
        assert len(columns) == 51
        return self._insert_sql(DELIVERY_TABLE, columns)

    def claim_sql(self) -> str:
        """INSERT of the rows into the claim table."""
        return self._insert_sql(
            CLAIM_TABLE,
            {
                "ID": f"n * 2 + {self._random('id')} MOD 2",
                "ant_parcel_no": "CONCAT('AP', LPAD(n * 20, 12, '0'))",
                "partner_id": _partner_id(self._partner_number()),
                "claim_type": _pick(self._random("type"), "lost", "damaged", "late"),
                "claim_amount": f"{self._random('amount')} MOD 5000000 * 0.01",
                "approved_amount": self._or_null(40, f"{self._random('approved')} MOD 500000 * 0.01"),
                "description": self._or_null(20, _pick(self._random("text"), *_NOTES)),
                "opened_on": f"DATE('{self.first}' + INTERVAL {self._created_s()} SECOND)",
                "update_at": f"'{self.first}' + INTERVAL {self._updated_s()} SECOND"
                f" + INTERVAL {self._random('micro')} MOD 1000000 MICROSECOND",
            },
        )

    def partner_sql(self) -> str:
        """INSERT of the rows into the partner table."""
        return self._insert_sql(
            PARTNER_TABLE,
            {
                "ID": "n",
                "partner_id": _partner_id("n"),
                "partner_name": _partner_name("n"),
                "active": f"{self._random('active')} MOD 10 > 0",
                "commission_rate": f"{self._random('rate')} MOD 100000 * 0.00001",
                "contract_from": f"DATE('2019-01-01' + INTERVAL {self._random('from')} MOD 2000 DAY)",
                "contract_to": self._or_null(70, f"DATE('2026-06-30' + INTERVAL {self._random('to')} MOD 900 DAY)"),
                "update_at": f"'{self.first}' + INTERVAL {self._updated_s()} SECOND",
            },
        )

    def _insert_sql(self, table: str, columns: dict[str, str]) -> str:
        names = ", ".join(f"`{name}`" for name in columns)
        values = ",\n  ".join(columns.values())
        numbers = f"(SELECT seq AS n FROM seq_{self.first_row}_to_{self.last_row}) numbers"
        return f"INSERT INTO `{DATABASE}`.`{table}` ({names})\nSELECT\n  {values}\nFROM {numbers}"

    def _delivery_columns(self) -> dict[str, str]:
        return {
            "ID": f"n * 3 + n DIV {_GAP_EVERY_ROWS} * {_GAP} + {self._random('id')} MOD 3",
            # Every seventh row is a second leg of the parcel before it.
            "ant_parcel_no": "CONCAT('AP', LPAD(n - (n MOD 7 = 0), 12, '0'))",
            "partner_id": _partner_id(self._partner_number()),
            **self._descriptions(),
            **self._numbers(),
            **self._amounts(),
            **self._times(),
        }

    def _descriptions(self) -> dict[str, str]:
        r = self._random
        long_note = "REPEAT('Bitte beim Nachbarn klingeln, dann vor die Tür legen. 请放门口 📦 ', 40)"
        return {
            "partner_name": self._or_null(10, _partner_name(self._partner_number())),
            "latest_status": _pick(r("status"), *_STATUSES),
            "order_no": self._or_null(5, f"CONCAT('SO-', {r('order')} MOD 90000000 + 10000000)"),
            "waybill_no": self._or_null(15, f"CONCAT('WB', LPAD({r('waybill')}, 10, '0'))"),
            "delivery_type": f"1 + {r('type')} MOD 4",
            "service_flags": self._or_null(30, f"{r('flags')} MOD 16"),
            "currency": _pick(r("currency"), "EUR", "CNY", "USD", "THB"),
            "recipient_city": self._or_null(8, _pick(r("city"), *_CITIES)),
            "recipient_note": f"IF({r('long')} MOD 3000 = 0, {long_note}, "
            f"{self._or_null(70, _pick(r('note'), *_NOTES))})",
            "sender_address": self._or_null(25, f"CONCAT({_pick(r('street'), *_STREETS)}, ' ', {r('number')} MOD 200)"),
            "failure_reason": self._or_null(88, _pick(r("reason"), *_REASONS)),
            "remark": self._or_null(80, _pick(r("remark"), *_NOTES)),
            "attributes": self._or_null(
                78,
                f'CONCAT(\'{{"b": \', {r("json")} MOD 100, \', "a": 1.10, "tags": ["\', '
                f"{_pick(r('tag'), 'köln', 'x y', '📦')}, '\"]}}')",
            ),
        }

    def _numbers(self) -> dict[str, str]:
        r = self._random
        return {
            "is_cod": f"{r('cod')} MOD 2",
            "is_returned": self._or_null(50, f"{r('returned')} MOD 3"),
            "attempt_count": f"IF({r('attempts')} MOD 500 = 0, 255, {r('attempt')} MOD 4)",
            "zone_code": self._or_null(10, f"CAST({r('zone')} MOD 65536 AS SIGNED) - 32768"),
            "route_no": self._or_null(10, f"{r('route')} MOD 65536"),
            "hub_id": self._or_null(12, f"{r('hub')} MOD 16777216"),
            "courier_id": self._or_null(20, r("courier")),
            "batch_no": self._or_null(
                35,
                f"IF({r('batch')} MOD 800 = 0, 18446744073709551615, "
                f"{r('batch high')} * 4294967296 + {r('batch low')})",
            ),
            "weight_g": self._or_null(5, f"{r('weight')} MOD 30000"),
            "volume_l": self._or_null(15, f"{r('volume')} MOD 65536 * {2**-8!r}e0"),
            "latitude": self._or_null(18, f"47 + {r('latitude')} MOD 8388608 * {2**-20!r}"),
            "longitude": self._or_null(18, f"{r('longitude')} MOD 8388608 * {2**-20!r} - 4"),
        }

    def _amounts(self) -> dict[str, str]:
        r = self._random
        fine = f"CONCAT({r('units')}, LPAD({r('middle')}, 10, '0'), '.', LPAD({r('fraction')}, 10, '0'))"
        return {
            "goods_value": self._or_null(10, self._limited(10, 2, f"{r('goods')} MOD 100000000 * 0.01")),
            "delivery_fee": self._limited(10, 2, f"{r('fee')} MOD 5000 * 0.01"),
            "cod_amount": self._or_null(70, self._limited(12, 2, f"{r('cash')} * 0.01")),
            "insurance_fee": self._or_null(50, self._limited(10, 2, f"{r('insurance')} MOD 10000 * 0.01")),
            "fuel_surcharge": self._limited(8, 3, f"{r('fuel')} MOD 20000 * 0.001"),
            "discount_points": self._or_null(60, self._limited(9, 0, f"{r('points')} MOD 100000")),
            "tax_rate": self._or_null(20, self._limited(5, 4, f"{r('rate')} MOD 2500 * 0.0001")),
            "tax_amount": self._or_null(20, self._limited(14, 4, f"{r('tax')} MOD 10000000 * 0.0001")),
            "partner_share": self._limited(18, 6, f"{r('share')} * 0.000001"),
            "platform_share": self._or_null(12, self._limited(18, 6, f"{r('platform')} * -0.000001")),
            "exchange_rate": self._or_null(40, self._limited(18, 10, f"{r('exchange')} * 0.0000000001")),
            "settlement_amount": self._limited(20, 4, f"{r('amount')} * 0.0001 - 200000"),
            "accrued_amount": self._or_null(60, self._limited(38, 10, fine)),
            "ledger_units": self._or_null(
                70, self._limited(38, 0, f"CONCAT({r('ledger')}, LPAD({r('ledger low')}, 10, '0'))")
            ),
        }

    def _times(self) -> dict[str, str]:
        r = self._random
        created, updated = (f"'{self.first}' + INTERVAL {s} SECOND" for s in (self._created_s(), self._updated_s()))
        return {
            "settlement_year": self._or_null(10, f"2024 + {r('year')} MOD 3"),
            "pickup_date": self._or_null(8, f"DATE({created})"),
            "delivery_date": self._or_null(40, f"DATE({created} + INTERVAL {r('days')} MOD 9 DAY)"),
            "promised_at": f"IF({r('promise')} MOD 400 = 0, '9999-12-31 23:59:59', "
            + self._or_null(25, f"{created} + INTERVAL {r('hours')} MOD 96 HOUR")
            + ")",
            "scanned_at": self._or_null(35, f"{created} + INTERVAL {r('scan')} MICROSECOND"),
            "synced_at": self._or_null(55, f"{updated} + INTERVAL {r('sync')} MOD 1000 * 1000 MICROSECOND"),
            "signed_at": self._or_null(45, f"{created} + INTERVAL {r('sign')} MOD 400000 SECOND"),
            "created_at": created,
            "update_at": updated,
        }

    def _created_s(self) -> str:
        rows = self.last_row - self.first_row + 1
        return f"((n - {self.first_row}) * {self.span_s} DIV {rows})"

    def _updated_s(self) -> str:
        """Up to ten days after the creation; every eighth row was last touched by one of three bulk updates."""
        bulk = ", ".join(str(max(0, self.span_s - age)) for age in (3_600, 21_600, 172_800))
        created = self._created_s()
        single = f"{created} + {self._random('delay')} MOD (1 + LEAST(864000, {self.span_s} - {created}))"
        return f"IF({self._random('bulk')} MOD 8 = 0, ELT(1 + {self._random('which')} MOD 3, {bulk}), {single})"

    def _partner_number(self) -> str:
        return f"(1 + {self._random('partner')} MOD {PARTNERS})"

    def _random(self, purpose: str) -> str:
        """A number from 0 to 2^32-1 that depends on row, purpose and seed."""
        return f"CRC32(n * 1000003 + {zlib.crc32(f'{self.seed} {purpose}'.encode())})"

    def _or_null(self, percent: int, expression: str) -> str:
        """The expression, or NULL in ``percent`` of 100 rows."""
        return f"IF({self._random('null ' + expression)} MOD 100 < {percent}, NULL, {expression})"

    def _limited(self, precision: int, scale: int, expression: str) -> str:
        """The expression, or in one of 500 rows the largest or the smallest value of DECIMAL(precision, scale)."""
        limit = "9" * (precision - scale) + ("." + "9" * scale if scale else "")
        chance = self._random(f"limit {expression}") + " MOD 1000"
        return f"CASE {chance} WHEN 0 THEN '{limit}' WHEN 1 THEN '-{limit}' ELSE {expression} END"


def _partner_id(number: str) -> str:
    return f"CONCAT('P', LPAD({number}, 5, '0'))"


def _partner_name(number: str) -> str:
    return f"CONCAT({_pick(number, *_PARTNER_NAMES)}, ' ', {number})"


def _pick(number: str, *values: str) -> str:
    literals = ", ".join("'" + value.replace("\\", "\\\\").replace("'", "''") + "'" for value in values)
    return f"ELT(1 + {number} MOD {len(values)}, {literals})"


_STATUSES = ("created", "picked up", "in transit", "at hub", "out for delivery", "delivered", "failed", "returned")
_PARTNER_NAMES = ("Ameise Kurier", "速达物流", "Bière & Fils", "Łódź Express", "ไปรษณีย์ด่วน", "Hermes O'Neill 🚚")
_CITIES = ("Köln", "München", "São Paulo", "北京", "กรุงเทพ", "Zürich", "", "Saint-Étienne ")
_STREETS = ("Müllerstraße", "Rue de l'Église", "Calle Peñón", "Østergade")
_REASONS = ("nobody at home", "address not found", "refused: 'damaged'", "", "dog 🐕 in the yard")
_NOTES = (
    "leave at the door",
    "ring twice 🔔",
    "请放在门卫处",
    'say "hello", then\nwait\ta little',
    "",
    "back\\slash and 'quotes'",
    "👨‍👩‍👧 family of three",
    "trailing spaces   ",
)
