"""Forgetting a person: what names or could lead to one goes, what the totals and the network need stays.

Without its salt nobody can show what a commitment on the network commits to, so what stays there points to nobody.
"""

from msgspec.structs import replace

from chalicelib.domain.click import Click
from chalicelib.domain.conversion import Conversion, Happening, Said

ERASED_PAYLOAD = {"erased": True}


def without_person(held: Conversion, now: int) -> Conversion:
    """Order id, click id, sub id, metadata, items, both salts and the payloads they open are gone for good."""
    return replace(
        held,
        order_id=None,
        event_id=None,
        voucher=None,
        metadata={},
        items=(),
        salt="",
        private_salt="",
        attribution=replace(held.attribution, click_id=None, sub_id=None),
        said={source: _amounts_only(said) for source, said in held.said.items()},
        entries=tuple(replace(entry, payload=ERASED_PAYLOAD) for entry in held.entries),
        history=(*map(_without_ids, held.history), Happening(now, "erased", "merchant")),
        erased_at=now,
    )


def click_without_person(click: Click) -> Click:
    return replace(click, sub_id=None, salt="", private_salt="")


def _amounts_only(said: Said) -> Said:
    return replace(said, click_id=None, event_id=None)


def _without_ids(line: Happening) -> Happening:
    """A flagged repeat names a click."""
    return replace(line, detail="") if line.event == "flagged" else line
