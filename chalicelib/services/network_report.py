"""What the confirmer last saw of the network."""

from msgspec import Struct

REPORT = "network-report"


class Report(Struct, rename="camel", kw_only=True):
    """For /v1/status: times in milliseconds, balance in wei.

    `final` is the newest block ever seen final. `balance` is that of the poorest key, `inFlight` counts those of all keys, and
    `oldestInFlight` is since when the one that waits longest for a block does; `differences` counts the conversions whose commission the
    contract computed otherwise than the box.
    """

    at: int
    head: int
    final: int
    balance: str
    in_flight: int
    paused: str | None
    oldest_unsent: int | None
    oldest_in_flight: int | None = None
    contract: str = ""
    """Of another one, on another chain perhaps, `final` says nothing."""
    differences: int = 0
    ends_until: int = 0
    """The block up to which ends of agreements were looked for; 0 before the first time."""
    rpc: str = "ok"
