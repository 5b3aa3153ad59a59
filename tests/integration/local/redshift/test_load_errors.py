"""A COPY of the product that Redshift refuses: what SYS_LOAD_ERROR_DETAIL adds to the error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import redshift_connector

from s3rs_ray.errors import CopyInterrupted, LoadConflict, WarehouseError
from s3rs_ray.local.redshift.faults import Fault, set_faults
from s3rs_ray.source.types import contract
from s3rs_ray.warehouse import sql
from s3rs_ray.warehouse.copying import copy_into_staging
from s3rs_ray.warehouse.redshift import Warehouse
from s3rs_ray.warehouse.sql import Target
from tests.integration.local.redshift.lake import Lake, parquet_bytes
from tests.support.build import source_column

FITS = pa.table({"id": pa.array([1, 2], pa.int64()), "note": ["a", "b"]})


@pytest.fixture
def warehouse(connect: Callable[..., redshift_connector.Connection]) -> Warehouse:
    return Warehouse(connect())


def staged(warehouse: Warehouse) -> Target:
    """A target with its staging table: a BIGINT and a VARCHAR(8)."""
    columns = (
        contract(source_column("id", "bigint(20)", precision=19, scale=0)),
        contract(source_column("note", "varchar(2)", characters=2, character_set="utf8mb4")),
    )
    target = Target(schema="s", name="t", columns=columns, key=("id",), cursor="id")
    warehouse.execute(sql.create_staging_sql(target, target.staging))
    return target


def failure(warehouse: Warehouse, target: Target, url: str, authorization: str) -> WarehouseError:
    with pytest.raises(WarehouseError) as caught:
        copy_into_staging(warehouse, target, url, authorization)
    assert warehouse.number(sql.count_sql(target.staging)) == 0
    return caught.value


def test_a_file_that_fits(warehouse: Warehouse, lake: Lake) -> None:
    target = staged(warehouse)
    copy_into_staging(warehouse, target, lake.manifest_of(FITS), sql.role_sql(lake.role))
    assert warehouse.number(sql.count_sql(target.staging)) == 2


@pytest.mark.parametrize(
    ("table", "column", "says"),
    [
        (FITS.set_column(0, "id", pa.array([1, 2], pa.int32())), "id", "incompatible Parquet schema"),
        (FITS.set_column(1, "note", pa.array(["a", "é" * 5])), "note", "Table: 8, Data: 10"),
        (FITS.append_column("more", pa.array([1, 2])), "", "Table columns: 2, Data columns: 3"),
    ],
    ids=["wrong type", "too long", "too many columns"],
)
def test_a_file_that_does_not_fit(warehouse: Warehouse, lake: Lake, table: pa.Table, column: str, says: str) -> None:
    entry = lake.entry(parquet_bytes(table))
    error = failure(warehouse, staged(warehouse), lake.manifest([entry]), sql.role_sql(lake.role))
    assert says in error.message
    assert error.context["file"].endswith(str(entry["url"]).removeprefix("s3://"))
    assert error.context.get("column", "") == column
    assert error.context["load_error_code"] == "15007"
    assert error.context["file"] in error.message
    assert "watermark reset" in error.hint
    assert not isinstance(error, CopyInterrupted)


def test_a_file_that_is_gone(warehouse: Warehouse, lake: Lake) -> None:
    entry = lake.entry(parquet_bytes(FITS))
    lake.client.delete_object(Bucket=lake.bucket, Key=str(entry["url"]).removeprefix(f"s3://{lake.bucket}/"))
    error = failure(warehouse, staged(warehouse), lake.manifest([entry]), sql.role_sql(lake.role))
    assert "Status 404" in error.message
    assert error.context["file"].endswith(str(entry["url"]).removeprefix("s3://"))
    assert "gone from S3" in error.hint


def test_a_file_of_another_size(warehouse: Warehouse, lake: Lake) -> None:
    entry = {**lake.entry(parquet_bytes(FITS)), "meta": {"content_length": 7}}
    error = failure(warehouse, staged(warehouse), lake.manifest([entry]), sql.role_sql(lake.role))
    assert "InvalidRange" in error.message
    assert "replaced" in error.hint


def test_another_role(warehouse: Warehouse, lake: Lake) -> None:
    role = "arn:aws:iam::1:role/other"
    error = failure(warehouse, staged(warehouse), lake.manifest_of(FITS), sql.role_sql(role))
    assert f"Not authorized to get credentials of role {role}" in error.message
    assert "REDSHIFT_IAM_ROLE" in error.hint


def test_an_older_failure_of_the_session_is_not_told_for_a_new_one(warehouse: Warehouse, lake: Lake) -> None:
    target = staged(warehouse)
    long = FITS.set_column(1, "note", pa.array(["a", "x" * 9]))
    failure(warehouse, target, lake.manifest_of(long), sql.role_sql(lake.role))
    error = failure(warehouse, target, lake.manifest_of(FITS.drop_columns(["note"])), sql.role_sql(lake.role))
    assert "Data columns: 1" in error.message
    assert "column" not in error.context


def test_where_the_view_cannot_be_read_the_error_is_told_as_it_came(
    warehouse: Warehouse, lake: Lake, control_file: Path
) -> None:
    refused = Fault(point="statement", action="error", match="sys_load_error_detail", message="permission denied")
    set_faults(control_file, [refused])
    long = FITS.set_column(1, "note", pa.array(["a", "x" * 9]))
    error = failure(warehouse, staged(warehouse), lake.manifest_of(long), sql.role_sql(lake.role))
    assert "Table: 8, Data: 9" in error.message
    assert "file" not in error.context


def test_a_throttled_read_may_be_tried_again(warehouse: Warehouse, lake: Lake, control_file: Path) -> None:
    text = "S3ServiceException:Please reduce your request rate.,Status 503,Error SlowDown"
    set_faults(control_file, [Fault(point="copy", action="error", message=text)])
    target = staged(warehouse)
    url = lake.manifest_of(FITS)
    assert isinstance(failure(warehouse, target, url, sql.role_sql(lake.role)), CopyInterrupted)
    copy_into_staging(warehouse, target, url, sql.role_sql(lake.role))
    assert warehouse.number(sql.count_sql(target.staging)) == 2


def test_a_conflict_is_told_from_a_name_with_its_number(warehouse: Warehouse, control_file: Path) -> None:
    with pytest.raises(WarehouseError, match="t1023") as caught:
        warehouse.execute("SELECT * FROM t1023")
    assert not isinstance(caught.value, LoadConflict)
    for message in ("1023", "1018", "could not complete because of conflict with concurrent transaction"):
        set_faults(control_file, [Fault(point="statement", action="error", message=message)])
        with pytest.raises(LoadConflict):
            warehouse.execute("SELECT 1")


def test_keys_stay_out_of_every_text(warehouse: Warehouse, lake: Lake, control_file: Path) -> None:
    clause = sql.keys_sql("AKIAOTHER", "sec'ret", "tok\\en")
    text = "The AWS key AKIAOTHER with sec'ret and tok\\en is not known: https://h/a?X-Amz-Signature=5f5f"
    set_faults(control_file, [Fault(point="copy", action="error", message=text)])
    error = failure(warehouse, staged(warehouse), lake.manifest_of(FITS), clause)
    shown = f"{error.message} {error.hint} {error.context}"
    assert "is not known" in shown
    for secret in ("AKIAOTHER", "sec'ret", "sec''ret", "tok\\en", "5f5f"):
        assert secret not in shown
