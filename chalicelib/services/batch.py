"""Many reports or corrections in one call: each row stands alone, and is answered as its single call would be."""

import logging
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from chalicelib.bootstrap import Box
from chalicelib.domain.agreement import ACTIONS
from chalicelib.domain.conversion import id_of_order
from chalicelib.domain.errors import Refusal, Unavailable, Unprocessable
from chalicelib.domain.report import ServerBody
from chalicelib.domain.rows import ValidationRow
from chalicelib.services import lifecycle, track, validate

ROWS_AT_ONCE = 16
BUDGET_MS = 22_000
"""The gateway gives an answer 29 s; rows not begun by then are handed back, to be sent again."""
T = TypeVar("T")
Answer = dict[str, Any]
log = logging.getLogger("merchant-box")


def conversions(box: Box, rows: Sequence[ServerBody | Refusal]) -> list[Answer]:
    """An answer a row, in order: {index, code, conversionId, status, duplicate} or {index, code, error}."""

    def report(body: ServerBody) -> Answer:
        received = track.conversion(box, body, "server")
        held = received.conversion
        return {
            "code": 200 if received.duplicate else 202,
            "conversionId": held.conversion_id,
            "status": lifecycle.status(box, held),
            "duplicate": received.duplicate,
        }

    return _each(box, rows, report, lambda body: (body.action, body.order_id))


def validations(box: Box, rows: Sequence[ValidationRow | Refusal], by: str) -> list[Answer]:
    """Likewise; `duplicate` is true where the row changed nothing, because it was so already."""

    def correct(row: ValidationRow) -> Answer:
        correction = validate.Correction(row.status, row.reason, row.amount, row.lines)
        held, changed = validate.correct(box, _id(box, row), correction, by)
        return {
            "code": 200,
            "conversionId": held.conversion_id,
            "status": lifecycle.status(box, held),
            "duplicate": not changed,
        }

    return _each(box, rows, correct, lambda row: row.conversion_id or (row.action, row.order_id))


def _id(box: Box, row: ValidationRow) -> str:
    if row.conversion_id:
        return row.conversion_id
    if not row.order_id or row.action not in ACTIONS:
        raise Unprocessable("row_names_nothing", "Give a conversionId, or an orderId and the action sale or lead.")
    return id_of_order(box.id_secret, row.action, row.order_id)


def _each(
    box: Box, rows: Sequence[T | Refusal], do: Callable[[T], Answer], same: Callable[[T], Hashable]
) -> list[Answer]:
    """Rows about one order run one after the other, in order; different orders run side by side."""
    answers: list[Answer] = [{} for _ in rows]
    chains: dict[Hashable, list[int]] = {}
    for index, row in enumerate(rows):
        if isinstance(row, Refusal):
            answers[index] = _refused(row)
        else:
            chains.setdefault(same(row), []).append(index)
    until = box.now() + BUDGET_MS
    _ = box.id_secret, box.config  # built here once rather than by sixteen threads at once

    def run(chain: list[int]) -> None:
        for index in chain:
            row = rows[index]
            assert not isinstance(row, Refusal), "sorted out above"
            answers[index] = _answered(do, row) if box.now() < until else _refused(_not_reached())

    with ThreadPoolExecutor(ROWS_AT_ONCE) as pool:
        list(pool.map(run, chains.values()))
    return [{"index": index, **answer} for index, answer in enumerate(answers)]


def _answered(do: Callable[[T], Answer], row: T) -> Answer:
    try:
        return do(row)
    except Refusal as refusal:
        return _refused(refusal)
    except Exception as error:  # noqa: BLE001 - one row's failure must not hide what became of the others
        log.error("unexpected %s in a row of a batch", type(error).__name__)
        return {"code": 500, "error": {"code": "internal", "detail": "The box failed at this row; send it again."}}


def _not_reached() -> Refusal:
    return Unavailable("not_reached", "The time of this call was over before this row; send it again.")


def _refused(refusal: Refusal) -> Answer:
    return {"code": refusal.status, "error": {"code": refusal.code, "detail": refusal.detail}}
