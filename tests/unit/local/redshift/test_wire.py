"""Framing, passwords, row descriptions, errors: the bytes on the wire."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from s3rs_ray.local.redshift.rows import Codes
from s3rs_ray.local.redshift.sqlerror import SqlError
from s3rs_ray.local.redshift.translation import translate_error, translate_notice
from s3rs_ray.local.redshift.wire import (
    Channel,
    ConnectionLost,
    cstrings,
    md5_answer,
    md5_secret,
    message,
    parse_startup,
    split_cstring,
)


@pytest.fixture
def pair() -> Iterator[tuple[Channel, Channel]]:
    left, right = socket.socketpair()
    yield Channel(left), Channel(right)
    left.close()
    right.close()


def test_messages_arrive_whole_and_in_order(pair: tuple[Channel, Channel]) -> None:
    one, two = pair
    for body in (b"", b"x" * 100_000, b"end"):
        one.write(b"d", body)
        one.flush()
        assert two.read_message() == (b"d", body)
    one.write_raw(message(b"a", b"1") + message(b"b"))
    one.flush()
    assert two.read_message() == (b"a", b"1")
    assert two.has_input
    assert two.read_message() == (b"b", b"")
    assert not two.has_input


def test_a_lost_connection_is_told(pair: tuple[Channel, Channel]) -> None:
    one, two = pair
    one.write_raw(b"d\0\0")
    one.flush()
    one.close()
    with pytest.raises(ConnectionLost):
        two.read_message()


def test_a_length_that_cannot_be(pair: tuple[Channel, Channel]) -> None:
    one, two = pair
    one.write_raw(b"d" + struct.pack("!i", 3))
    one.flush()
    with pytest.raises(ConnectionLost):
        two.read_message()


def test_startup_takes_any_key() -> None:
    """redshift.md, the driver: its start-up packet carries keys PostgreSQL refuses."""
    body = cstrings("user", "u", "client_protocol_version", "2", "application_name", "") + b"\0"
    assert parse_startup(body) == {"user": "u", "client_protocol_version": "2", "application_name": ""}


def test_md5_passwords() -> None:
    """PostgreSQL documentation, AuthenticationMD5Password."""
    assert len(md5_secret("u", "p")) == 32
    assert md5_answer(md5_secret("u", "p"), b"salt").startswith("md5")
    assert md5_answer(md5_secret("u", "p"), b"salt") != md5_answer(md5_secret("u", "q"), b"salt")


def test_text_that_is_no_utf_8() -> None:
    with pytest.raises(SqlError) as caught:
        split_cstring(b"\xff\0", 0)
    assert caught.value.sqlstate == "22021"


class NoLongNames:
    """Stands for a server nobody gave a long name to."""

    def label(self, name: bytes) -> bytes:
        return name


def description(*columns: tuple[str, int]) -> bytes:
    fields = b"".join(name.encode() + b"\0" + struct.pack("!ihihih", 0, 0, code, -1, -1, 0) for name, code in columns)
    return struct.pack("!h", len(columns)) + fields


def test_type_codes_and_varbytes_are_told_as_redshift_does() -> None:
    codes = Codes({9001: 1043, 9002: 6551}, NoLongNames())  # type: ignore[arg-type]
    columns = codes.columns(description(("a", 23), ("b", 9001), ("c", 9002)))
    assert columns.description == description(("a", 23), ("b", 1043), ("c", 6551))
    row = (
        struct.pack("!h", 3) + struct.pack("!i", 2) + b"\\x" + struct.pack("!i", -1) + struct.pack("!i", 6) + b"\\x6162"
    )
    told = struct.pack("!h", 3) + struct.pack("!i", 2) + b"\\x" + struct.pack("!i", -1) + struct.pack("!i", 4) + b"6162"
    assert columns.row(row) == told
    assert codes.parameters(struct.pack("!hii", 2, 9001, 23)) == struct.pack("!hii", 2, 1043, 23)


def test_errors_in_redshifts_words() -> None:
    """AWS documentation, "Serializable isolation"; the fields of an ErrorResponse."""
    told = translate_error({"S": "ERROR", "C": "40001", "M": "could not serialize access"}, pid=7)
    assert (told.sqlstate, told.message) == ("XX000", "1023")
    assert told.detail.endswith("(pid:7)")
    told = translate_error({"C": "23502", "M": "null value", "c": "a"}, pid=7)
    assert told.message == "Cannot insert a NULL value into column a"
    told = translate_error({"C": "42883", "M": "no operator for redshift_standin.varchar", "P": "9"}, pid=7)
    assert told.fields() == b"SERROR\0C42883\0Mno operator for character varying\0\0"
    notice = translate_notice({"S": "NOTICE", "C": "42P07", "M": "skipping", "F": "parse.c"})
    assert notice == b"SNOTICE\0C42P07\0Mskipping\0\0"
