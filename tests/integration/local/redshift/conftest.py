"""A stand-in of this folder's own: its PostgreSQL, its S3, two users, TLS and faults."""

from __future__ import annotations

import datetime
import ipaddress
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
import redshift_connector
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from s3rs_ray.local.postgres import Postgres
from s3rs_ray.local.process import bring_up
from s3rs_ray.local.redshift.faults import clear_faults
from s3rs_ray.local.s3 import S3
from s3rs_ray.local.standin import Redshift, RedshiftAccount
from tests.integration.local.redshift.lake import Lake

ANALYST = "analyst"


class StandIn(Redshift):
    """The stand-in with a second user and a certificate."""

    analyst_password = secrets.token_urlsafe(12)

    def __init__(self, directory: Path, backend: Postgres, s3: S3) -> None:
        super().__init__(directory, backend, s3)
        self.certificate, self.key = directory / "cert.pem", directory / "key.pem"
        make_certificate(self.certificate, self.key)

    def _settings(self, port: int) -> dict[str, object]:
        users = {self.account.user: self.account.password, ANALYST: self.analyst_password}
        files = {"tls_cert": str(self.certificate), "tls_key": str(self.key)}
        return {**super()._settings(port), "users": users, **files}


def make_certificate(certificate: Path, key_file: Path) -> None:
    """A self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key_file.write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))


@pytest.fixture(scope="session")
def lake_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with S3(tmp_path_factory.mktemp("lake")) as running:
        yield running


@pytest.fixture(scope="session")
def standin(lake_server: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    directory = tmp_path_factory.mktemp("rs")
    postgres = Postgres(directory)
    server = StandIn(directory, postgres, lake_server)
    try:
        bring_up(postgres.starting(), server.starting())
        yield server
    finally:
        server.stop()
        postgres.stop()


@pytest.fixture(scope="session")
def lake(lake_server: S3) -> Lake:
    account = lake_server.account
    client = boto3.client(
        "s3",
        endpoint_url=lake_server.endpoint_url,
        region_name=account.region,
        aws_access_key_id=account.access_key,
        aws_secret_access_key=account.secret_key,
    )
    return Lake(client, account.bucket, RedshiftAccount().iam_role)


class Connections:
    """Opens connections as the warehouse's owner, in autocommit mode, unless told otherwise."""

    def __init__(self, standin: StandIn) -> None:
        self._standin = standin
        self._opened: list[redshift_connector.Connection] = []

    def __call__(self, *, autocommit: bool = True, **changes: object) -> redshift_connector.Connection:
        account = self._standin.account
        wishes = {
            "host": "127.0.0.1",
            "port": self._standin.port,
            "user": account.user,
            "password": account.password,
            "database": account.database,
            "ssl": False,
            "max_prepared_statements": 0,
            **changes,
        }
        connection = redshift_connector.connect(**wishes)
        connection.autocommit = autocommit
        self._opened.append(connection)
        return connection

    def close(self) -> None:
        """Closes all of them, so that none holds a lock any longer."""
        while self._opened:
            connection = self._opened.pop()
            if connection._sock is not None:
                connection.close()


@pytest.fixture
def connect(standin: StandIn) -> Iterator[Connections]:
    """Opens connections; they are closed after the test."""
    connections = Connections(standin)
    yield connections
    connections.close()


@pytest.fixture
def run(connect: Connections) -> Callable[..., list[list[object]]]:
    """Runs one statement in a session of its own, autocommit, and returns its rows."""
    connection = connect()

    def run_one(sql: str, *values: object) -> list[list[object]]:
        cursor = connection.cursor()
        cursor.execute(sql, values or None)
        return list(cursor.fetchall()) if cursor.description else []

    return run_one


@pytest.fixture
def schema(connect: Connections) -> Iterator[str]:
    """The name of an empty schema, dropped after the test."""
    name = f"s_{secrets.token_hex(5)}"
    connect().cursor().execute(f"CREATE SCHEMA {name}")
    yield name
    connect.close()
    connect().cursor().execute(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture
def control_file(standin: StandIn) -> Iterator[Path]:
    """Where faults are set; there is none after the test."""
    yield standin.control_file
    clear_faults(standin.control_file)
