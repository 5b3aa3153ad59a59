"""Hypothesis: no deadline, because other work on the machine would decide over it."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("s3rs", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("s3rs")
