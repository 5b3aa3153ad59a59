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
    """Looks references up, each secret once; where AWS cannot be asked, it is not asked again.

    Attributes:
        region: where a name without one is looked for: an ARN names its own, then AWS_REGION,
            AWS_DEFAULT_REGION or the profile's, then this.
    """

    region: str = DEFAULT_REGION
    _found: dict[str, str] = field(default_factory=dict, repr=False)
    _refused: dict[str, ConfigError] = field(default_factory=dict, repr=False)
    _silent: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)

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
        if whole in self._refused:
            raise self._refused[whole]
        if whole not in self._found:
            try:
                self._found[whole] = self._look_up(service, name, whole)
            except ConfigError as exc:
                self._refused[whole] = exc
                raise
        return _part(self._found[whole], key, reference) if key else self._found[whole]

    def _look_up(self, service: str, name: str, whole: str) -> str:
        place = (service, name.split(":")[3] if name.startswith("arn:") and name.count(":") > 3 else "")
        try:
            if place in self._silent:
                raise _unasked(whole, self._silent[place])
            with closing(self._client(*place)) as client:
                region = client.meta.region_name
                if service == "ssm":
                    return str(client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
                answer = client.get_secret_value(SecretId=name)
        except boto_errors.ClientError as exc:
            code = exc.response.get("Error", {}).get("Code", "")
            hint = f"{_HINTS[service]}; asked in {region}, which AWS_REGION names"
            raise ConfigError(f"{whole} cannot be read: {code}", hint=hint) from None
        except (boto_errors.BotoCoreError, boto_errors.HTTPClientError, ValueError) as exc:
            self._silent[place] = str(exc)
            raise _unasked(whole, str(exc)) from None
        if "SecretString" not in answer:
            raise ConfigError(f"{whole} is binary", hint="keep text or a JSON object in it")
        return str(answer["SecretString"])

    def _client(self, service: str, region: str) -> Any:
        session = aws_session()
        return session.client(
            service,  # type: ignore[call-overload]  # the stubs are S3's alone
            region_name=region or session.region_name or self.region,
            config=Config(connect_timeout=4, read_timeout=10, retries={"mode": "standard", "max_attempts": 3}),
        )


def _unasked(whole: str, why: str) -> ConfigError:
    return ConfigError(f"{whole} cannot be read: {why}", hint="check the AWS credentials and region")


def _part(text: str, key: str, reference: str) -> str:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:  # its message quotes nothing, its cause would
        document = None
    if not isinstance(document, dict):
        raise ConfigError(f"{reference}: the secret is no JSON object", hint="leave out #key to take it whole")
    value = document.get(key)
    if not isinstance(value, (str, int, float)):  # a bool is an int
        raise ConfigError(
            f"{reference}: the secret has no text, number or boolean under this key", hint="check the key's name"
        )
    return str(value).lower() if isinstance(value, bool) else str(value)
