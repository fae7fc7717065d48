"""How long the fuzz tests search: the same few examples in every run, or new ones for some ten minutes.

pytest tests/hostile --hypothesis-profile=fuzz
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

COMMON = {
    "deadline": None,
    "database": None,
    # The fixtures of all tests set environment variables, which the examples share.
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
}

settings.register_profile("quick", max_examples=80, derandomize=True, **COMMON)
settings.register_profile("fuzz", max_examples=5000, **COMMON)
settings.load_profile("quick")
