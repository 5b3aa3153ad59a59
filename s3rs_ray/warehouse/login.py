"""Who logs in to Redshift, and over which TLS: the driver's arguments, and what a refusal by AWS means."""

from __future__ import annotations

import re

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from ..config import Settings
from ..errors import ConfigError, WarehouseUnavailable

HOST_REGION = re.compile(r"\.([a-z0-9-]+)\.redshift(?:-serverless)?\.amazonaws\.com(?:\.cn)?$")
"""Redshift's own host names: ``name.id.region.redshift.amazonaws.com`` (Management Guide, "Connection strings")."""

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
UNKNOWN = frozenset({"ClusterNotFound", "ClusterNotFoundFault", "ResourceNotFoundException"})
BAD_KEYS = frozenset(
    {
        *("ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"),
        *("SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature", "InvalidAccessKeyId"),
    }
)
"""Codes of the services' common errors. The texts of some quote the signed request, its session token with it."""


def login_arguments(settings: Settings) -> dict[str, object]:
    """User and password, or what the driver asks AWS with for a temporary pair; and the TLS mode. Secret.

    An IAM login is ``GetClusterCredentials`` (cluster) or ``GetCredentials`` (Serverless). It is asked for anew with
    every connection and kept nowhere, so it is never an expired one.

    Raises:
        ConfigError: the settings contradict each other.
    """
    if not settings.redshift_iam:
        password = settings.redshift_password.get_secret_value()
        return _encryption(settings) | {"user": settings.redshift_user, "password": password}
    asked = {"iam": True, "iam_disable_cache": True, "region": region(settings)}
    return _encryption(settings) | asked | _warehouse(settings) | _credentials(settings)


def login_mistakes(settings: Settings) -> list[ConfigError]:
    """Everything that :func:`login_arguments` would refuse, not the first alone."""
    found: list[ConfigError] = []
    for part in (_encryption, _warehouse, _credentials) if settings.redshift_iam else ():
        try:
            part(settings)
        except ConfigError as exc:
            found.append(exc)
    return found


def _encryption(settings: Settings) -> dict[str, object]:
    tls = settings.redshift_ssl_mode
    if tls != "disable":
        return {"ssl": True, "sslmode": tls}
    if settings.redshift_iam:
        raise ConfigError(
            "REDSHIFT_SSL_MODE = 'disable' with REDSHIFT_IAM: a temporary password must not travel unencrypted",
            hint="take verify-full or verify-ca",
        )
    return {"ssl": False}


def region(settings: Settings) -> str:
    """The AWS region of the warehouse."""
    found = HOST_REGION.search(settings.redshift_host)
    return settings.redshift_region or (found[1] if found else settings.s3_region)


def _warehouse(settings: Settings) -> dict[str, object]:
    cluster, workgroup = settings.redshift_cluster_identifier, settings.redshift_workgroup
    if bool(cluster) == bool(workgroup):
        raise ConfigError(
            f"REDSHIFT_IAM needs one of REDSHIFT_CLUSTER_IDENTIFIER and REDSHIFT_WORKGROUP; "
            f"{'both are' if cluster else 'none is'} set",
            hint="name the provisioned cluster, or the Serverless workgroup",
        )
    if workgroup:
        if settings.redshift_db_groups or settings.redshift_auto_create:
            raise ConfigError(
                "REDSHIFT_DB_GROUPS and REDSHIFT_AUTO_CREATE do not hold for a Serverless workgroup",
                hint="Serverless takes the user from the IAM identity and makes it itself; grant it roles there",
            )
        return {"is_serverless": True, "serverless_work_group": workgroup}
    return {
        "cluster_identifier": cluster,
        "db_user": settings.redshift_user,
        "auto_create": settings.redshift_auto_create,
        "db_groups": list(settings.redshift_db_groups),
    }


def _credentials(settings: Settings) -> dict[str, object]:
    key, secret = settings.redshift_access_key, settings.redshift_secret_key.get_secret_value()
    token = settings.redshift_session_token.get_secret_value()
    if not (key or secret or token):
        return {"profile": settings.redshift_profile} if settings.redshift_profile else {}
    if settings.redshift_profile:
        raise ConfigError(
            "REDSHIFT_PROFILE and REDSHIFT_ACCESS_KEY, …_SECRET_KEY or …_SESSION_TOKEN are both set",
            hint="give the profile or the keys, or neither for the AWS default credential chain",
        )
    settings.require("REDSHIFT_ACCESS_KEY", "REDSHIFT_SECRET_KEY")
    given: dict[str, object] = {"access_key_id": key, "secret_access_key": secret}
    return given | ({"session_token": token} if token else {})


def aws_error(settings: Settings, exc: BotoCoreError | ClientError) -> WarehouseUnavailable:
    """What AWS said when it was asked for a temporary password, without anything secret."""
    serverless = bool(settings.redshift_workgroup)
    name = settings.redshift_workgroup or settings.redshift_cluster_identifier
    what = f"{'workgroup' if serverless else 'cluster'} {name}"
    there = f"{what} in {region(settings)}"
    action = "redshift-serverless:GetCredentials" if serverless else "redshift:GetClusterCredentials"
    if isinstance(exc, ProfileNotFound):
        return WarehouseUnavailable(
            f"there is no AWS profile {settings.redshift_profile}", hint="check REDSHIFT_PROFILE and ~/.aws/config"
        )
    if isinstance(exc, NoCredentialsError | PartialCredentialsError):
        return WarehouseUnavailable(
            f"no AWS credentials to ask for a login to {there}",
            hint="set REDSHIFT_PROFILE or REDSHIFT_ACCESS_KEY and REDSHIFT_SECRET_KEY, or run with an AWS role",
        )
    if isinstance(exc, CredentialRetrievalError | MetadataRetrievalError | SSOError | TokenRetrievalError):
        return WarehouseUnavailable(
            f"the AWS credentials to ask for a login to {there} with could not be had or renewed: {exc}",
            hint="renew them (`aws sso login`, the role, or what credential_process calls) and run the command again",
        )
    if not isinstance(exc, ClientError):
        return WarehouseUnavailable(
            f"cannot ask AWS for a login to {there}: {exc}",
            hint="check REDSHIFT_REGION and the way to the AWS API (internet, NAT or a VPC endpoint)",
        )
    error = exc.response.get("Error", {})
    code, text = error.get("Code", ""), error.get("Message", "")
    context = {"code": code}
    if code in UNKNOWN:
        names = "REDSHIFT_WORKGROUP" if serverless else "REDSHIFT_CLUSTER_IDENTIFIER"
        return WarehouseUnavailable(
            f"AWS knows no {there}", hint=f"check {names}, REDSHIFT_REGION and the AWS account", context=context
        )
    if code in BAD_KEYS:
        return WarehouseUnavailable(
            f"AWS refused the credentials that ask for a login to {there}: {code}",
            hint="renew them, or check REDSHIFT_ACCESS_KEY, REDSHIFT_SECRET_KEY, REDSHIFT_SESSION_TOKEN",
            context=context,
        )
    hint = "look the code up in the documentation of the Redshift API"
    if code in DENIED:
        groups = "" if serverless else " (and CreateClusterUser, JoinGroup where they are used)"
        hint = f"allow {action}{groups} in the IAM policy of these credentials"
    return WarehouseUnavailable(f"AWS refused a login to {there}: {code}: {text}", hint=hint, context=context)
