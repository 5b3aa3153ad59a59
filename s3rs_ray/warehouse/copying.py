"""A COPY into staging and, when Redshift refuses it, what the operator needs: file, column, reason, remedy.

Source: AWS documentation, SYS_LOAD_ERROR_DETAIL (visible to every user for the user's own loads), PG_LAST_COPY_ID
(not set by a COPY that fails before its load begins, hence the look-up by session), "Multipart and S3 errors of COPY".
"""

from __future__ import annotations

import logging
import re

from ..errors import CopyInterrupted, WarehouseError, WarehouseUnavailable
from . import sql
from .redshift import Warehouse
from .sql import Target

__all__ = ["copy_into_staging", "explain_copy"]

log = logging.getLogger(__name__)

# Columnar COPY reads through presigned URLs, whose query string lets its holder read the object.
_SIGNED = re.compile(r"(https?://[^\s?'\"]+)\?[^\s'\"]*")
_TRANSIENT = re.compile(
    r"Status 50[0234]\b|\bSlowDown\b|\bInternalError\b|\bServiceUnavailable\b|\bRequestTimeout\b|S3CurlException"
    r"|error code: 50[0234]\b"
    r"|\bExpiredToken\b"  # temporary keys that ended meanwhile: the next COPY is given new ones
)
# What Redshift says -> what to do about it; the first that fits. The texts are those of redshift.md, "COPY".
_REMEDIES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"Not authorized to get credentials of role|not authorized to assume", re.IGNORECASE),
        "attach the role of REDSHIFT_IAM_ROLE to the warehouse, or name one that is attached",
    ),
    (
        re.compile(r"AccessDenied|Access Denied|Status 403|InvalidAccessKeyId|SignatureDoesNotMatch"),
        "let the role of REDSHIFT_IAM_ROLE (or S3_ACCESS_KEY) read the bucket: s3:GetObject and s3:ListBucket",
    ),
    (
        re.compile(r"longer than the length defined in the table"),
        "the column holds a longer text than its type allows: widen it in MySQL, then extract the table anew with"
        " 's3rs-ray watermark reset'",
    ),
    (
        re.compile(r"InvalidRange|error code: 416"),
        "the file on S3 is not the one that was written: something replaced it; extract the table anew with"
        " 's3rs-ray watermark reset'",
    ),
    (
        re.compile(r"NoSuchKey|Status 404|does not exist|error code: 404"),
        "the file is gone from S3: restore it (versions of the bucket, lifecycle rules), or extract the table anew"
        " with 's3rs-ray watermark reset'",
    ),
    (
        re.compile(r"incompatible Parquet schema|Unmatched number of columns|NULL value in column"),
        "the file does not fit the table it was written for; report it with the manifest, and extract the table anew"
        " with 's3rs-ray watermark reset'",
    ),
    (
        re.compile(r"permission denied", re.IGNORECASE),
        "grant REDSHIFT_USER the right to create temporary tables in the database",
    ),
    (
        re.compile(r"PermanentRedirect|AuthorizationHeaderMalformed|endpoint"),
        "COPY of Parquet reads from the warehouse's own region only: use a bucket there",
    ),
)


def copy_into_staging(warehouse: Warehouse, target: Target, manifest_url: str, authorization: str) -> None:
    """Runs the COPY, which must not be inside a transaction.

    Args:
        authorization: the clause of :func:`~s3rs_ray.warehouse.sql.role_sql` or ``keys_sql``; never shown.

    Raises:
        CopyInterrupted: S3 failed for a moment; staging is empty and the COPY may be tried again.
        WarehouseError: Redshift refused, with file, column and remedy where it names them.
    """
    text = sql.copy_sql(target, manifest_url, authorization)
    try:
        warehouse.execute(text, shown=sql.copy_sql(target, manifest_url, "<credentials>"))
    except WarehouseUnavailable:
        raise
    except WarehouseError as error:
        raise explain_copy(error, target.qualified, manifest_url, _find_detail(warehouse), authorization) from None


def _find_detail(warehouse: Warehouse) -> dict[str, str]:
    """The newest row of SYS_LOAD_ERROR_DETAIL of this session; empty when there is none or it may not be read."""
    try:
        session = warehouse.number(sql.session_id_sql())
        rows = warehouse.query(sql.load_error_sql(), (session,))
    except WarehouseError as error:
        log.debug("SYS_LOAD_ERROR_DETAIL could not be read: %s", error)
        return {}
    names = ("file", "column", "column_type", "column_length", "line", "code", "text")
    found = dict(zip(names, rows[0], strict=True)) if rows else {}
    return {name: text for name, value in found.items() if (text := "" if value is None else str(value).strip())}


def explain_copy(
    error: WarehouseError, target: str, manifest_url: str, detail: dict[str, str], authorization: str = ""
) -> WarehouseError:
    """The error of a COPY in terms of the load.

    Args:
        error: what the driver told.
        target: the table the files go to.
        manifest_url: of the COPY.
        detail: ``file``, ``column``, ``column_type``, ``column_length``, ``line``, ``code`` and ``text`` as far as
            Redshift gave them.
        authorization: what must not be in any text.
    """
    secrets = _literals(authorization)
    told = _safe(error.message.removeprefix("Redshift refused the statement: "), secrets)
    reason = _safe(detail.get("text", ""), secrets)
    # The row's text may be cut; when the error has it whole, it is not said twice.
    if reason and " ".join(reason.split()) not in " ".join(told.split()):
        told = f"{reason} ({told})" if told else reason
    place = f" at column {detail['column']}" if detail.get("column") else ""
    if detail.get("file"):
        place += f" in {_safe(detail['file'], secrets)}"
    context = {**error.context, "manifest": manifest_url}
    for name in ("file", "column", "column_type", "column_length", "line"):
        if detail.get(name) not in {None, "", "0"}:
            context[name] = _safe(detail[name], secrets)
    if detail.get("code"):
        context["load_error_code"] = detail["code"]
    if reason:
        context["load_error"] = reason
    message = f"COPY for {target} failed{place}: {told}"
    if _TRANSIENT.search(told):
        again = "run the command again: nothing was merged"
        if "ExpiredToken" in told:
            again = f"renew S3_SESSION_TOKEN, or set REDSHIFT_IAM_ROLE, whose keys Redshift renews; then {again}"
        return CopyInterrupted(message, hint=again, context=context)
    hint = next((remedy for pattern, remedy in _REMEDIES if pattern.search(told)), "")
    return WarehouseError(
        message,
        hint=hint or "look the load up in SYS_LOAD_ERROR_DETAIL and SYS_LOAD_HISTORY; nothing was merged",
        context=context,
    )


def _literals(authorization: str) -> list[str]:
    """The keys and tokens in an authorisation clause, longest first; a role is no secret."""
    if authorization.upper().startswith("IAM_ROLE"):
        return []
    written = re.findall(r"'((?:[^'\\]|\\.|'')*)'", authorization)
    meant = [re.sub(r"\\(.)|'(')", lambda m: m[1] or m[2], text) for text in written]
    return sorted({text for text in (*written, *meant) if text}, key=len, reverse=True)


def _safe(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return _SIGNED.sub(r"\1?<signature>", text)
