"""Settings kept in AWS: ``secretsmanager:NAME#key`` and ``ssm:NAME``, looked up when a command starts.

Source: AWS Secrets Manager API Reference, "GetSecretValue"; AWS Systems Manager API Reference, "GetParameter". The
credentials are those of the AWS default chain; ``AWS_ENDPOINT_URL_SECRETS_MANAGER`` and ``AWS_ENDPOINT_URL_SSM`` lead
elsewhere, as in any program that uses boto3.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import botocore.exceptions as boto_errors
import orjson
from botocore.config import Config

from ..errors import ConfigError
from .s3 import aws_session

DEFAULT_REGION = "us-east-1"
_HINTS = {
    "secretsmanager": "the credentials need secretsmanager:GetSecretValue (and kms:Decrypt for a key of your own)",
    "ssm": "the credentials need ssm:GetParameter (and kms:Decrypt for a key of your own)",
}


@dataclass(slots=True)
class References:
    """Looks references up, each secret once.

    Attributes:
        region: where a name without one is looked for: an ARN names its own, then AWS_REGION, then this.
    """

    region: str = DEFAULT_REGION
    _found: dict[str, str] = field(default_factory=dict, repr=False)

    def __call__(self, reference: str) -> str:
        """The value behind a reference.

        Raises:
            ConfigError: naming the reference, never what was found.
        """
        service, _, rest = reference.partition(":")
        name, marked, key = rest.partition("#")
        whole = f"{service}:{name}"
        if not name or (marked and (not key or service == "ssm")):
            raise ConfigError(
                f"{reference} is no reference", hint="write secretsmanager:NAME, secretsmanager:NAME#key or ssm:NAME"
            )
        if whole not in self._found:
            self._found[whole] = self._look_up(service, name, whole)
        return _part(self._found[whole], key, reference) if key else self._found[whole]

    def _look_up(self, service: str, name: str, whole: str) -> str:
        hint = _HINTS[service]
        try:
            with closing(self._client(service, name)) as client:
                if service == "ssm":
                    return str(client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
                answer = client.get_secret_value(SecretId=name)
        except boto_errors.ClientError as exc:
            code = exc.response.get("Error", {}).get("Code", "")
            raise ConfigError(f"{whole} cannot be read: {code}", hint=hint) from None
        except (boto_errors.BotoCoreError, boto_errors.HTTPClientError, ValueError) as exc:
            raise ConfigError(f"{whole} cannot be read: {exc}", hint="check the AWS credentials and region") from None
        if "SecretString" not in answer:
            raise ConfigError(f"{whole} is binary", hint="keep text or a JSON object in it")
        return str(answer["SecretString"])

    def _client(self, service: str, name: str) -> Any:
        session = aws_session()
        named = name.split(":")[3] if name.startswith("arn:") and name.count(":") > 3 else ""
        return session.client(
            service,  # type: ignore[call-overload]  # the stubs are S3's alone
            region_name=named or session.region_name or self.region,
            config=Config(connect_timeout=4, read_timeout=10, retries={"mode": "standard", "max_attempts": 3}),
        )


def _part(text: str, key: str, reference: str) -> str:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:  # its message quotes nothing, its cause would
        document = None
    if not isinstance(document, dict):
        raise ConfigError(f"{reference}: the secret is no JSON object", hint="leave out #key to take it whole")
    value = document.get(key)
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise ConfigError(f"{reference}: the secret has no text or number under this key", hint="check the key's name")
    return str(value)
