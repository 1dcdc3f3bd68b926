"""A conversion as one of its entries has it. Where an order moved to another publisher, that is what concerns the one before, and nothing
of whoever has it now."""

from msgspec.structs import replace

from chalicelib.bootstrap import Box
from chalicelib.domain.attribution import Attribution
from chalicelib.domain.click import Click
from chalicelib.domain.conversion import Conversion, Entry


def click_of(box: Box, entry: Entry) -> Click | None:
    """The click that the entry names, None where it names none or the table has forgotten it."""
    click_id = entry.payload.get("clickId")
    return box.clicks.get(click_id) if click_id else None


def sub_id_of(box: Box, held: Conversion, entry: Entry) -> str | None:
    """That of the entry's own click: the conversion's may be of whoever has the order now."""
    now = held.attribution
    if (now.publisher_id, now.click_id) == (entry.publisher_id, entry.payload.get("clickId")):
        return now.sub_id
    click = click_of(box, entry)
    return click.sub_id if click else None


def as_recorded_for(box: Box, held: Conversion, publisher_id: str) -> Conversion | None:
    """The conversion as that publisher's newest entry has it; None where it has none. Who has the order now, and what became of it there
    (amount, history), stays out."""
    numbers = [number for number, entry in enumerate(held.entries) if entry.publisher_id == publisher_id]
    if not numbers:
        return None
    return as_recorded(held, numbers[-1], click_of(box, held.entries[numbers[-1]]))


def as_recorded(held: Conversion, number: int, click: Click | None = None) -> Conversion:
    """The conversion as its entry of that number says it; `click` is the entry's own, where more is wanted of it than its id."""
    entry = held.entries[number]
    return replace(
        valued_as(held, entry),
        source="signed-tag" if entry.verified else "tag",
        attribution=attributed_as(entry, click),
        entries=held.entries[: number + 1],
        set_aside=None,
        history=(),
    )


def valued_as(held: Conversion, entry: Entry) -> Conversion:
    """The conversion with the amount, and what was decided of it, that the entry has."""
    return replace(
        held,
        amount=sum(line.amount for line in entry.lines),
        currency=currency_of(held, entry),
        lines=entry.lines,
        verified=entry.verified,
        decision=entry.decision,
        reason=entry.reason,
    )


def currency_of(held: Conversion, entry: Entry) -> str:
    """What the entry's amounts are in: the conversion's may be that of a later report, once the config's has changed. Of an erased one no
    payload is left."""
    return str(entry.payload.get("currency", held.currency))


def attributed_as(entry: Entry, click: Click | None = None) -> Attribution:
    """Whose the entry is, and by what; `click` is its own."""
    click_id = entry.payload.get("clickId")
    return Attribution(
        rule="last_click" if click_id else "voucher",
        publisher_id=entry.publisher_id,
        agreement_id=entry.agreement_id,
        click_id=click_id,
        clicked_at=click.clicked_at if click else None,
        sub_id=click.sub_id if click else None,
    )
