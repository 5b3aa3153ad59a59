"""What a failed COPY tells the operator, and what it never shows."""

from __future__ import annotations

import pytest

from s3rs_ray.errors import CopyInterrupted, WarehouseError
from s3rs_ray.warehouse import sql
from s3rs_ray.warehouse.copying import explain_copy

MANIFEST = "s3://lake/incremental/manifests/x.manifest"


def explained(told: str, detail: dict[str, str] | None = None, authorization: str = "") -> WarehouseError:
    error = WarehouseError(f"Redshift refused the statement: {told}", context={"code": "XX000"})
    return explain_copy(error, '"s"."t"', MANIFEST, detail or {}, authorization)


def test_file_column_and_redshifts_own_words_are_told() -> None:
    reason = "The length of the data column note is longer than the length defined in the table. Table: 2, Data: 3"
    detail = {
        "file": "https://s3.eu-west-1.amazonaws.com/lake/a.parquet",
        "column": "note",
        "column_type": "character",
        "column_length": "2",
        "line": "0",
        "code": "15007",
        "text": reason,
    }
    error = explained("Spectrum Scan Error", detail)
    assert error.message == (
        'COPY for "s"."t" failed at column note in https://s3.eu-west-1.amazonaws.com/lake/a.parquet: '
        f"{reason} (Spectrum Scan Error)"
    )
    assert error.context == {
        "code": "XX000",
        "manifest": MANIFEST,
        "file": detail["file"],
        "column": "note",
        "column_type": "character",
        "column_length": "2",
        "load_error_code": "15007",
        "load_error": reason,
    }
    assert "widen" in error.hint


def test_what_the_error_says_whole_is_not_said_twice() -> None:
    error = explained("Spectrum Scan Error (code: 15007 context: a b c)", {"text": "a  b c"})
    assert error.message.count("a b c") == 1


@pytest.mark.parametrize(
    ("told", "remedy"),
    [
        ("Not authorized to get credentials of role arn:aws:iam::1:role/x", "REDSHIFT_IAM_ROLE"),
        ("S3ServiceException:Access Denied,Status 403,Error AccessDenied", "s3:GetObject"),
        ("The specified S3 prefix 'a' does not exist", "gone from S3"),
        ("S3 Query Exception (Fetch) (HTTP response error code: 416 Message: InvalidRange)", "watermark reset"),
        ("File 'x' has an incompatible Parquet schema for column 'y'", "watermark reset"),
        ("permission denied to create temporary tables in database", "temporary tables"),
        ("S3ServiceException:...,Status 301,Error PermanentRedirect", "region"),
        ("something nobody has seen", "SYS_LOAD_ERROR_DETAIL"),
    ],
)
def test_each_reason_has_its_remedy(told: str, remedy: str) -> None:
    error = explained(told)
    assert remedy in error.hint
    assert not isinstance(error, CopyInterrupted)


@pytest.mark.parametrize(
    "told",
    [
        "S3ServiceException:Please reduce your request rate.,Status 503,Error SlowDown",
        "S3ServiceException:We encountered an internal error.,Status 500,Error InternalError",
        "S3CurlException: Connection timed out, CurlError 28",
        "Spectrum Scan Error (HTTP response error code: 503 Message: Service Unavailable)",
    ],
)
def test_a_moments_failure_of_s3_may_be_tried_again(told: str) -> None:
    assert isinstance(explained(told), CopyInterrupted)


def test_no_secret_is_shown() -> None:
    clause = sql.keys_sql("AKIAEXAMPLE", "se'cr\\et/key", "to'ken")
    url = "https://lake.s3.amazonaws.com/a.parquet?X-Amz-Signature=5f5f&X-Amz-Security-Token=9c9c"
    for secret in ("se'cr\\et/key", "se''cr\\\\et/key", "to'ken", "AKIAEXAMPLE"):
        error = explained(f"bad {secret} at {url}", {"text": f"{secret} {url}", "file": url}, clause)
        shown = f"{error.message} {error.hint} {error.context}"
        assert secret not in shown
        assert "5f5f" not in shown
        assert "9c9c" not in shown
        assert "https://lake.s3.amazonaws.com/a.parquet" in shown
