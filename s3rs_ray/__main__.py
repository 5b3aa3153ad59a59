"""``python -m s3rs_ray``: the same commands, also as the entry point of a Ray job."""

from .cli import main

main()
