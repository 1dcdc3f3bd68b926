"""Agreements that a side ended on the contract itself and not through the box, as a publisher may who trusts nobody.

The box's links go on until it learns of that. A click taken meanwhile is one after the end, and the checks would say so of its sale: so
the confirmer looks for ends with each report it writes, far sooner than the quarter of an hour by which clocks may differ there.
"""

import logging
from collections.abc import Iterator
from itertools import islice

from msgspec.structs import replace

from chalicelib.adapters.contract_events import AgreementEnded
from chalicelib.adapters.network import NoAnswer
from chalicelib.bootstrap import Box
from chalicelib.domain.party import Agreement
from chalicelib.services.logged import logged, merchant_topic

log = logging.getLogger(__name__)

RANGES_AT_ONCE = 20
"""Of Network.logs. A box that could not look for long catches up over several turns."""


def learn_ends(box: Box, since: int, final: int) -> int:
    """Take over every end in the blocks after `since` up to `final`. Returns the block up to which that is done; where no node answers,
    the next time goes on from there."""
    try:
        for until, ends in islice(_ends(box, since + 1, final), RANGES_AT_ONCE):
            for end in ends:
                _take_over(box, end)
            since = until
    except NoAnswer as silence:
        log.warning("ends of agreements are looked for again: %s", silence)
    return since


def stop_links(box: Box, held: Agreement, ended_at: int) -> None:
    """The links, and then that it is ended: broken off in between, it is found in force and ended again. `ended_at` in milliseconds."""
    while (publisher := box.publishers.get(held.publisher_id)) is not None:
        links = publisher.link is not None and publisher.link.agreement_id == held.agreement_id
        if not links or box.publishers.swap(publisher, replace(publisher, link=None)):
            break
    box.agreements.put(replace(held, state="ended", ended_at=ended_at))


def _ends(box: Box, since_block: int, to_block: int) -> Iterator[tuple[int, list[AgreementEnded]]]:
    """This merchant's, by ranges of blocks, each with its last block."""
    return logged(box, AgreementEnded, [None, merchant_topic(box)], since_block, to_block)


def _take_over(box: Box, end: AgreementEnded) -> None:
    held = box.agreements.get("0x" + end.agreement.hex())
    if held is None or held.state == "ended":
        return
    block = box.network.block(end.where.block)
    if block is None:
        raise NoAnswer(f"no node shows block {end.where.block}")
    stop_links(box, held, block.time * 1000)
    log.warning(
        "agreement %s with %s was ended on the network: its links count no more", held.agreement_id, held.publisher_id
    )
