"""The time zones that this machine's database knows. For those who check configs: no function of a box looks into it."""

import zoneinfo
from functools import cache


@cache
def known() -> frozenset[str]:
    """By their names; empty on a machine that has no such database (a slim container)."""
    return frozenset(zoneinfo.available_timezones())
