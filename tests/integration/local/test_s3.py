from __future__ import annotations

import os
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

from s3rs_ray.local.process import free_port
from s3rs_ray.local.s3 import S3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def client(server: S3, access_key: str = "", secret_key: str = "") -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        region_name=server.account.region,
        aws_access_key_id=access_key or server.account.access_key,
        aws_secret_access_key=secret_key or server.account.secret_key,
        config=Config(signature_version="s3v4", retries={"total_max_attempts": 1}),
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with S3(tmp_path_factory.mktemp("s3")) as running:
        yield running


KEYS = ["plain", "a b/ü+=&?#%40~'()*/x.parquet", "incremental/a.b$c/year=2026/x_.parquet", "double//slash"]


@pytest.mark.parametrize("key", KEYS)
def test_any_key_can_be_written_read_listed_and_deleted(server: S3, key: str) -> None:
    s3, bucket = client(server), server.account.bucket
    s3.put_object(Bucket=bucket, Key=key, Body=b"\0\xff" * 500, Metadata={"rows": "7", "under_score": "two  spaces"})
    assert s3.get_object(Bucket=bucket, Key=key, Range="bytes=998-")["Body"].read() == b"\0\xff"
    assert s3.head_object(Bucket=bucket, Key=key)["Metadata"] == {"rows": "7", "under_score": "two  spaces"}
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]] == [key]
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})
    assert s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"] == 0


def test_wrong_keys_are_refused_whatever_is_asked(server: S3) -> None:
    bucket = server.account.bucket
    calls: list[Callable[[S3Client], object]] = [
        lambda s3: s3.put_object(Bucket=bucket, Key="refused", Body=b"x" * 3_000_000),
        lambda s3: s3.get_object(Bucket=bucket, Key="refused"),
        lambda s3: s3.list_objects_v2(Bucket=bucket),
        lambda s3: s3.delete_object(Bucket=bucket, Key="refused"),
        lambda s3: s3.create_bucket(Bucket="mine"),
    ]
    for access_key, secret_key, code in (
        ("AKIAWRONG", "", "InvalidAccessKeyId"),
        ("", "wrong", "SignatureDoesNotMatch"),
    ):
        s3 = client(server, access_key, secret_key)
        for call in calls:
            with pytest.raises(ClientError) as refused:
                call(s3)
            assert refused.value.response["Error"]["Code"] == code
    assert client(server).list_objects_v2(Bucket=bucket, Prefix="refused")["KeyCount"] == 0


@pytest.mark.parametrize("path", ["", "/settlement-lake/plain", "/moto-api/data.json"])
def test_nobody_gets_in_without_a_signature(server: S3, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(server.endpoint_url + path)
    assert refused.value.code == 403
    refused.value.close()


def test_presigned_urls_work(server: S3) -> None:
    s3, where = client(server), {"Bucket": server.account.bucket, "Key": "signed for/you"}
    s3.put_object(**where, Body=b"hello")  # type: ignore[arg-type]
    with urllib.request.urlopen(s3.generate_presigned_url("get_object", Params=where)) as answer:
        assert answer.read() == b"hello"


def test_one_of_many_conditional_writers_wins(server: S3) -> None:
    s3, bucket = client(server), server.account.bucket

    def write(number: int) -> int:
        try:
            s3.put_object(Bucket=bucket, Key="once", Body=str(number).encode(), IfNoneMatch="*")
        except ClientError as refused:
            assert refused.response["Error"]["Code"] == "PreconditionFailed"
            return 0
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(write, range(1, 41)) if number]
    assert len(winners) == 1
    assert s3.get_object(Bucket=bucket, Key="once")["Body"].read() == str(winners[0]).encode()


def test_other_clients_are_let_in_too(server: S3) -> None:
    account = server.account
    files = pa.fs.S3FileSystem(
        access_key=account.access_key,
        secret_key=account.secret_key,
        endpoint_override=server.endpoint_url,
        region=account.region,
    )
    pq.write_table(pa.table({"a": [1, 2]}), f"{account.bucket}/arrow/x.parquet", filesystem=files)
    assert pq.read_table(f"{account.bucket}/arrow/x.parquet", filesystem=files).num_rows == 2


def test_large_objects_in_parts(server: S3, tmp_path: Path) -> None:
    data = os.urandom(20_000_000)
    (tmp_path / "large").write_bytes(data)
    client(server).upload_file(str(tmp_path / "large"), server.account.bucket, "large")
    assert client(server).get_object(Bucket=server.account.bucket, Key="large")["Body"].read() == data


def test_after_a_kill_it_is_back_on_its_port_with_its_keys_but_empty(tmp_path: Path) -> None:
    with S3(tmp_path) as server:
        port, s3, bucket = server.port, client(server), server.account.bucket
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        server.kill()
        with pytest.raises(EndpointConnectionError):
            s3.list_objects_v2(Bucket=bucket)
        server.start()
        assert server.port == port
        assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_the_keys_are_in_no_argument_and_no_log(server: S3) -> None:
    shown = Path(f"/proc/{server.pid}/cmdline").read_bytes() + Path(f"/proc/{server.pid}/environ").read_bytes()
    shown += server.log_file.read_bytes()
    assert server.account.secret_key.encode() not in shown
    assert server.account.access_key.encode() not in shown


def test_it_listens_on_this_machine_only(server: S3) -> None:
    listening = Path("/proc/net/tcp").read_text().splitlines() + Path("/proc/net/tcp6").read_text().splitlines()
    addresses = {line.split()[1] for line in listening if f":{server.port:04X} " in line and " 0A " in line}
    assert addresses == {f"0100007F:{server.port:04X}"}


def test_a_port_taken_in_the_meantime_is_given_up_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = iter([taken.getsockname()[1], free_port()])
        monkeypatch.setattr("s3rs_ray.local.server.free_port", lambda: next(ports))
        with S3(tmp_path) as server:
            assert server.port != taken.getsockname()[1]
