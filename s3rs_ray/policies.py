"""The choices: what becomes of values on the way to Redshift, and of rows and tables in a run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Treatment(StrEnum):
    """What becomes of a column's values on the way to Redshift."""

    EXACT = "exact"
    WIDENED = "widened"
    AS_TEXT = "as text"
    AS_NUMBER = "as number"
    AS_DOCUMENT = "as document"
    AS_BINARY = "as binary"
    EXCLUDED = "excluded"
    REFUSED = "refused"


class Comparison(StrEnum):
    """What of a column is compared after a load, besides the number of its values.

    Attributes:
        ORDERED: least and greatest value: source and warehouse order numbers, dates and times alike.
        COUNTED: nothing more: they order texts (collations, trailing blanks) and bytes each in its own way.
    """

    ORDERED = "ordered"
    COUNTED = "counted"


class TextForm(StrEnum):
    """How a value is written as text, alike in MySQL and in Redshift, where rows are compared by checksums.

    Attributes:
        NUMBER: an integer or a DECIMAL with all digits of its scale.
        SINGLE, DOUBLE: a binary number by the integers it is made of.
        DATE, MOMENT: a date; a date and time with microseconds.
        TEXT: the characters themselves, in UTF-8.
        BINARY: hexadecimal digits.
        NONE: has no form that is alike on both sides, so it is not compared.
    """

    NUMBER = "number"
    SINGLE = "single"
    DOUBLE = "double"
    DATE = "date"
    MOMENT = "moment"
    TEXT = "text"
    BINARY = "binary"
    NONE = "none"


class ZeroDates(StrEnum):
    """What becomes of a date no calendar has: ``0000-00-00``, month or day 0, the year 0, ``2024-02-31``."""

    NULL = "null"
    REFUSE = "refuse"


class LongText(StrEnum):
    """What becomes of a text longer than a VARCHAR can be; EXCLUDE leaves out the columns that may hold one."""

    REFUSE = "refuse"
    TRUNCATE = "truncate"
    EXCLUDE = "exclude"


class NulBytes(StrEnum):
    """What becomes of the character U+0000 in a text."""

    REFUSE = "refuse"
    REMOVE = "remove"


class GeometryForm(StrEnum):
    """How a geometry arrives: (E)WKB in a VARBYTE or (E)WKT in a VARCHAR."""

    WKB = "wkb"
    WKT = "wkt"


class JsonForm(StrEnum):
    """How a JSON document arrives: its text in a VARCHAR, or parsed in a SUPER."""

    TEXT = "text"
    SUPER = "super"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The user's choice for values Redshift has no form for; no default changes one without saying so."""

    zero_dates: ZeroDates = ZeroDates.NULL
    long_text: LongText = LongText.REFUSE
    nul_bytes: NulBytes = NulBytes.REFUSE
    geometry: GeometryForm = GeometryForm.WKB
    json_form: JsonForm = JsonForm.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """How many values a policy changed, of a file or a whole run.

    Attributes:
        nulled_dates: dates no calendar has that became NULL.
        truncated_texts: texts cut to the size of their column.
        stripped_texts: texts that lost their NUL bytes.
    """

    nulled_dates: int = 0
    truncated_texts: int = 0
    stripped_texts: int = 0

    def __add__(self, other: Adjusted) -> Adjusted:
        return Adjusted(
            nulled_dates=self.nulled_dates + other.nulled_dates,
            truncated_texts=self.truncated_texts + other.truncated_texts,
            stripped_texts=self.stripped_texts + other.stripped_texts,
        )


class NullCursors(StrEnum):
    """What becomes of rows whose cursor is NULL, which no range of the cursor sees."""

    REPORT = "report"
    LOAD = "load"


class RangeOrder(StrEnum):
    """Which columns the chunks of a run are ranges of.

    Attributes:
        CURSOR: ranges of the cursor: the watermark advances, and files are loaded, while the run still reads.
        KEY: ranges of the key, the order InnoDB keeps rows in: the watermark advances with the last of them.
    """

    CURSOR = "cursor"
    KEY = "key"


class Mode(StrEnum):
    """How loaded rows meet those already in the target table.

    Attributes:
        MERGE: the newest version of each key stays.
        APPEND: every version stays, each once; a version is a key and a cursor.
        REPLACE: the whole table is read again and takes the place of what was there.
    """

    MERGE = "merge"
    APPEND = "append"
    REPLACE = "replace"


class Deletes(StrEnum):
    """What becomes of rows of the target that are gone from the source.

    Attributes:
        KEEP: they stay; nobody looks for them.
        HARD: they are deleted.
        SOFT: they are marked with the time they were found gone.
    """

    KEEP = "keep"
    HARD = "hard"
    SOFT = "soft"


class Strategy(StrEnum):
    """How many tables are worked on at once; the chunks of one table always run in parallel.

    Attributes:
        SEQUENTIAL: one table after the other, each with all workers.
        INTER_TABLE: several tables at once; they share the workers.
    """

    SEQUENTIAL = "sequential"
    INTER_TABLE = "inter-table"
