"""The 202 answers a publisher kept: reading them, and asking the box for the receipts and proofs that were not kept with them."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Final, Literal

from ops.receipt_checks import parse_time

_TRIES: Final = 4
_MOST_PATIENCE: Final = 60  # seconds, when a box says that it was asked too often


@dataclass(frozen=True, slots=True)
class NoReceipt:
    """Why there is none, in the box's words: where the conversion stands (`network.state` of the API), and a reason."""

    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Saved:
    """A 202 answer that was kept, with the receipt when there is one. `saved_at` in Unix seconds; `conversion_id` "" where the answer
    names none."""

    conversion_id: str
    attributed: bool
    saved_at: int | None
    receipt: dict[str, Any] | None
    is_test: bool = False
    duplicate: bool = False
    """The answer to a repeat, which may come any time after the order."""
    no_receipt: NoReceipt | None = None
    asked_now: bool = False
    """The receipt is not a kept one: it is what the box shows now."""


@dataclass(frozen=True, slots=True)
class SavedClick:
    """The same of a click: the beacon's 202 names nothing else. `proof` where there is one."""

    click_id: str
    saved_at: int | None
    proof: dict[str, Any] | None


Kept = Saved | SavedClick


def read_saved(text: str, box: str | None = None) -> list[Kept]:
    """Kept answers: a JSON array, or a JSON object a line. Each is a 202 answer as it came, or {"answer", "savedAt"?, "receipt"?}; of a
    click's, `proof` stands in the receipt's place.

    With `box`, receipts and proofs that are not in the file are asked for there. Raises ValueError.
    """
    stripped = text.strip()
    rows = json.loads(stripped) if stripped.startswith("[") else _lines(stripped)
    return [_read(row, box) for row in rows]


def _lines(text: str) -> list[Any]:
    """By line feeds alone: within JSON's texts stand other characters that end a line elsewhere."""
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def _read(row: Any, box: str | None) -> Kept:
    answer = row.get("answer", row)
    saved_at = parse_time(row["savedAt"]) if "savedAt" in row else None
    if "conversionId" not in answer and "clickId" in answer:
        click_id = str(answer["clickId"])
        shown = row.get("proof")
        if not _is_anchored(shown) and box:
            shown = _ask(box, "clicks", f"{click_id}/proof")
        return SavedClick(click_id, saved_at, shown if _is_anchored(shown) else None)
    # A repeat from another browser is not told the id.
    conversion_id = str(answer["conversionId"] if "attributed" not in answer else answer.get("conversionId", ""))
    shown = row.get("receipt")
    is_kept = bool(shown) and not _said(shown)
    if not is_kept and box and conversion_id:
        shown = _ask(box, "receipts", conversion_id)
    said = _said(shown)
    receipt = None if said else shown or None
    return Saved(
        conversion_id=conversion_id,
        attributed=bool(answer.get("attributed", True)),
        saved_at=saved_at,
        receipt=receipt,
        is_test=answer.get("isTest") is True,
        duplicate=answer.get("duplicate") is True,
        no_receipt=said,
        asked_now=not is_kept and receipt is not None,
    )


def _said(shown: Any) -> NoReceipt | None:
    """A box's 202 in a receipt's place. A receipt has no `state`."""
    if isinstance(shown, dict) and "state" in shown and "payload" not in shown:
        return NoReceipt(str(shown["state"]), str(shown.get("reason") or ""))
    return None


def _is_anchored(proof: Any) -> bool:
    return isinstance(proof, dict) and "root" in proof


def _ask(box: str, kind: Literal["receipts", "clicks"], name: str) -> dict[str, Any] | None:
    """What the box shows, with 200 or 202; None when it knows nothing of it, or does not answer."""
    for attempt in range(_TRIES):
        try:
            with urllib.request.urlopen(f"{box.rstrip('/')}/v1/{kind}/{name}", timeout=30) as response:
                shown = json.load(response)
                return shown if isinstance(shown, dict) else None
        except urllib.error.HTTPError as refusal:
            if refusal.code != 429 or attempt == _TRIES - 1:
                return None
            time.sleep(min(float(refusal.headers.get("Retry-After") or 1), _MOST_PATIENCE))
        except (urllib.error.URLError, OSError, ValueError):
            return None
    return None
