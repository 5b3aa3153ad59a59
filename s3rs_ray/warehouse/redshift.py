"""The connection to Redshift: the only execute, the transaction, the errors. redshift_connector lives here."""

from __future__ import annotations

import logging
import ssl
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import redshift_connector
from redshift_connector import error as driver_errors

from ..config import Settings
from ..errors import CommitUnknown, LoadConflict, WarehouseError, WarehouseUnavailable
from .sql import statement_timeout_sql

log = logging.getLogger(__name__)

CONFLICT_CODES = frozenset({"40001", "40P01"})
CONFLICT_TEXTS = ("1023", "1018", "Serializable isolation violation")
LOGIN_CODES = frozenset({"28000", "28P01"})
LOST = (OSError, struct.error, AttributeError)
"""What a dead socket looks like inside the driver, besides its own InterfaceError."""


@contextmanager
def open_warehouse(settings: Settings, host: str, port: int) -> Iterator[Warehouse]:
    """A session in autocommit mode with a statement time limit on the server's side.

    Args:
        host, port: the address from here, behind a tunnel its local end.

    Raises:
        WarehouseUnavailable: within ``REDSHIFT_CONNECT_TIMEOUT_SECONDS``, naming host and reason.
    """
    connection = _connect(settings, host, port)
    try:
        warehouse = Warehouse(connection)
        warehouse.execute(statement_timeout_sql(settings.redshift_statement_timeout_seconds))
        yield warehouse
    finally:
        with suppress(driver_errors.Error, *LOST):
            connection.close()


def _connect(settings: Settings, host: str, port: int) -> redshift_connector.Connection:
    where = f"{settings.redshift_host}:{settings.redshift_port}"
    try:
        connection = redshift_connector.connect(
            host=host,
            port=port,
            user=settings.redshift_user,
            password=settings.redshift_password.get_secret_value(),
            database=settings.redshift_database,
            ssl=settings.redshift_ssl,
            timeout=settings.redshift_connect_timeout_seconds,
            tcp_keepalive=True,
            tcp_keepalive_idle=30,
            tcp_keepalive_interval=10,
            tcp_keepalive_count=3,
            max_prepared_statements=0,  # cached statements break after DDL
            application_name="s3rs-ray",
        )
    except driver_errors.Error as exc:
        fields = _fields(exc)
        if fields.get("C") in LOGIN_CODES:
            raise WarehouseUnavailable(
                f"Redshift at {where} refused user {settings.redshift_user}: {fields.get('M', '')}",
                hint="check REDSHIFT_USER and REDSHIFT_PASSWORD",
            ) from exc
        raise WarehouseUnavailable(
            f"cannot use Redshift at {where}: {fields.get('M') or ', '.join(map(str, exc.args))}",
            hint="check REDSHIFT_HOST, REDSHIFT_PORT, REDSHIFT_DATABASE and the network or bastion",
        ) from exc
    except (OSError, ssl.SSLError, struct.error) as exc:
        raise WarehouseUnavailable(
            f"cannot reach Redshift at {where}: {exc}",
            hint="check REDSHIFT_HOST, REDSHIFT_PORT, REDSHIFT_SSL and the network or bastion",
        ) from exc
    # The driver's timeout limits every later read too and would kill a long COPY: from here on keepalives and the
    # server's statement_timeout bound the wait.
    connection._usock.settimeout(None)
    connection.autocommit = True
    return connection


def _fields(exc: BaseException) -> dict[str, str]:
    """The server's error fields by their one-letter names (PostgreSQL protocol, ErrorResponse); empty if local."""
    first = exc.args[0] if exc.args else None
    return {str(k): str(v) for k, v in first.items()} if isinstance(first, dict) else {}


class Warehouse:
    """One session."""

    def __init__(self, connection: redshift_connector.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, arguments: Sequence[object] = (), *, shown: str = "") -> int:
        """Runs a statement; returns the number of rows it touched, -1 where the server does not say.

        Args:
            shown: what to name in logs and errors instead of ``sql``, when that holds a secret.
        """
        with self._translated(shown or sql), self._connection.cursor() as cursor:
            cursor.execute(sql, tuple(arguments))
            return int(cursor.rowcount)

    def query(self, sql: str, arguments: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """All rows of a query."""
        with self._translated(sql), self._connection.cursor() as cursor:
            cursor.execute(sql, tuple(arguments))
            return [tuple(row) for row in cursor.fetchall()]

    def number(self, sql: str, arguments: Sequence[object] = ()) -> int:
        """The whole number a query returns."""
        return int(str(self.query(sql, arguments)[0][0]))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """BEGIN … COMMIT; ROLLBACK on any error inside.

        Raises:
            CommitUnknown: the connection was lost while COMMIT was under way.
        """
        self.execute("BEGIN")
        try:
            yield
        except BaseException:
            with suppress(WarehouseError):  # the connection may be what failed; the first error is the one to tell
                self.execute("ROLLBACK")
            raise
        try:
            self.execute("COMMIT")
        except WarehouseUnavailable as exc:
            raise CommitUnknown(
                "the connection to Redshift was lost at COMMIT", hint="the load id is looked up before anything else"
            ) from exc
        except WarehouseError:
            with suppress(WarehouseError):  # a refused COMMIT may leave the transaction open and aborted
                self.execute("ROLLBACK")
            raise

    @contextmanager
    def _translated(self, shown: str) -> Iterator[None]:
        try:
            yield
        except driver_errors.Error as exc:
            fields = _fields(exc)
            if not fields and isinstance(exc, driver_errors.InterfaceError):
                raise WarehouseUnavailable(f"the connection to Redshift was lost: {exc}") from exc
            raise _server_error(fields or {"M": str(exc)}, shown) from None
        except LOST as exc:
            raise WarehouseUnavailable(f"the connection to Redshift was lost: {exc!r}") from exc


def _server_error(fields: dict[str, str], shown: str) -> WarehouseError:
    code, text = fields.get("C", ""), fields.get("M", "")
    detail = fields.get("D", "").strip()
    message = f"Redshift refused the statement: {text}" + (f" ({' '.join(detail.split())})" if detail else "")
    context = {"code": code, "statement": shown[:2000]}
    if code in CONFLICT_CODES or any(t in text for t in CONFLICT_TEXTS):
        return LoadConflict(message, hint="the transaction is tried again", context=context)
    return WarehouseError(message, hint="look at the statement with --debug", context=context)
