"""s3rs-ray: very large MySQL tables into Amazon Redshift by way of Parquet on S3, with Ray."""

from .config import Settings
from .engine.context import Request
from .engine.driver import backup, plan, sync
from .errors import S3rsError
from .version import __version__

__all__ = ["Request", "S3rsError", "Settings", "__version__", "backup", "plan", "sync"]
