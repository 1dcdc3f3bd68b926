"""Where each kept answer went: a conversion that counts must stand on the network, once, and a click under its anchor."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from chalicelib.domain.network_status import DAY
from ops.chain_reader import ODD, Chain
from ops.kept_answers import Kept, NoReceipt, Saved, SavedClick
from ops.ledger import Ledger
from ops.ledger_entries import Finding, Kind
from ops.receipt_checks import CLOCKS_MAY_DIFFER, Check, moment, parse_time
from ops.verify import verify_receipt
from ops.verify_click import verify_click

ON_ITS_WAY: Final = ("pending", "sent", "mined", "confirmed", "failed", "replaced")
PATIENCE: Final = DAY
"""Seconds in which a sale should have reached the network. A box that says "pending" for longer has something to explain."""


@dataclass
class AnswersAudit:
    """Over the `ledgers` that were walked, by merchant. `notes` say what can not be checked, and why."""

    chain: Chain
    publisher: str
    ledgers: dict[str, Ledger]
    findings: list[Finding] = field(default_factory=list)
    _clicks: dict[str, SavedClick] = field(default_factory=dict)
    _receipts: list[dict[str, Any]] = field(default_factory=list)
    """Of those that hold."""
    _places: dict[str, set[tuple[str, int]]] = field(default_factory=lambda: defaultdict(set))
    _noted: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def check(self, kept: Iterable[Kept]) -> None:
        for answer in kept:
            if isinstance(answer, SavedClick):
                self._click(answer)
            elif not answer.conversion_id:
                self._noted["name no conversion, which cannot be looked for"].append("?")
            elif answer.attributed and not answer.is_test:
                self._conversion(answer)
        self._count_once()
        self._compare_clicks()

    @property
    def notes(self) -> list[str]:
        return [
            f"{len(ids)} kept answers {why}: {', '.join(ids[:5])}{' …' if len(ids) > 5 else ''}"
            for why, ids in self._noted.items()
        ]

    def _find(self, kind: Kind, where: str, detail: str) -> None:
        self.findings.append(Finding(kind, where, detail))

    def _conversion(self, answer: Saved) -> None:
        receipt = answer.receipt
        if answer.no_receipt is not None:
            self._without_receipt(answer, answer.no_receipt)
        elif receipt is None:
            self._find("missing", answer.conversion_id, "answered with 202, and no receipt shows it on the network")
        else:
            checks = verify_receipt(receipt, self.chain.url, self.chain.contract)
            if self._holds(checks, answer.conversion_id):
                self._held(answer, receipt)
                if answer.asked_now and checks[-1].older:
                    why = "are shown by the box as they were, and not as they are on the network now: look at their receipts"
                    self._noted[why].append(answer.conversion_id)

    def _without_receipt(self, answer: Saved, said: NoReceipt) -> None:
        """The box's own word. What waits is no finding until it has waited too long: a deleted sale would wait for ever."""
        age = 0 if answer.saved_at is None else self.chain.now - answer.saved_at
        words = said.state if said.reason in ("", said.state) else f"{said.state}: {said.reason}"
        if said.reason == "erased":
            self._noted["cannot be checked, the box says that it forgot the person"].append(answer.conversion_id)
        elif said.state == "held":
            self._noted["are held until the merchant's server confirms them, says the box"].append(answer.conversion_id)
        elif said.state in ON_ITS_WAY and age < PATIENCE:
            self._noted[f"are not on the network yet, says the box ({words})"].append(answer.conversion_id)
        else:
            since = "" if answer.saved_at is None else f" on {moment(answer.saved_at)}"
            detail = f"answered with 202{since} and not on the network; the box says {words}"
            self._find("missing", answer.conversion_id, detail)

    def _holds(self, checks: list[Check], where: str) -> bool:
        if not checks[-1].ok:
            self._find("false-receipt", where, f"{checks[-1].name}: {checks[-1].detail}")
        return checks[-1].ok

    def _held(self, answer: Saved, receipt: dict[str, Any]) -> None:
        where = answer.conversion_id
        if receipt["conversionId"] != where:
            self._find("missing", where, f"its receipt is of {receipt['conversionId']}")
            return
        self._places[where].add((receipt["merchant"].lower(), receipt["sequence"]))
        self._receipts.append(receipt)
        if receipt["publisher"].lower() != self.publisher:
            self._of_another(where, receipt)
        self._check_date(answer, where, receipt["payload"]["createdAt"], may_be_older=answer.duplicate)

    def _of_another(self, where: str, receipt: dict[str, Any]) -> None:
        """Where an entry of this publisher was rejected in the step that recorded this one, the order was moved in the open."""
        ledger = self.ledgers.get(receipt["merchant"].lower())
        if ledger is not None and ledger.superseded_of(self.publisher, receipt["sequence"]):
            why = "were moved to another publisher by a report that the merchant verified (superseded)"
            self._noted[why].append(where)
        else:
            self._find("both-sides", where, f"recorded for {receipt['publisher']}, an account that is not yours")

    def _check_date(self, answer: Kept, where: str, dated: str, *, may_be_older: bool = False) -> None:
        at = parse_time(dated)
        if answer.saved_at is None or (may_be_older and at < answer.saved_at):
            return
        if abs(at - answer.saved_at) > CLOCKS_MAY_DIFFER:
            self._find("back-dated", where, f"answered on {moment(answer.saved_at)}, dated {moment(at)} by the box")

    def _compare_clicks(self) -> None:
        """A receipt names its click, and when that was: it has to be what was answered, and anchored, when the click was made."""
        for receipt in self._receipts:
            payload = receipt["payload"]
            kept = self._clicks.get(payload["clickId"] or "")
            if kept is None:
                continue
            if kept.proof is None:
                self._check_date(kept, receipt["conversionId"], payload["clickedAt"] or payload["createdAt"])
                continue
            for name in ("clickedAt", "agreementId", "publisherId"):
                if payload[name] != kept.proof["payload"][name]:
                    detail = (
                        f"its click has {name} {payload[name]} there and {kept.proof['payload'][name]} in its own proof"
                    )
                    self._find("false-receipt", receipt["conversionId"], detail)

    def _click(self, answer: SavedClick) -> None:
        where, proof = answer.click_id, answer.proof
        if proof is None:
            self._clicks.setdefault(where, answer)
            # No finding: a box forgets a click some weeks after its window, and nothing says when that was.
            self._noted["are of clicks without a proof, which cannot be checked"].append(where)
        elif self._holds(verify_click(proof, self.chain.url, self.chain.contract), where):
            if proof["clickId"] != where:
                self._find("missing", where, f"its proof is of click {proof['clickId']}")
                return
            self._clicks[where] = answer
            account = self._publisher_of(proof["payload"]["agreementId"])
            if account != self.publisher:
                self._find("both-sides", where, f"counted for {account}, an account that is not yours")
            self._check_date(answer, where, proof["payload"]["clickedAt"])

    def _publisher_of(self, agreement: str) -> str:
        try:
            return self.chain.views.parties(bytes.fromhex(agreement[2:])).publisher.lower()
        except ODD:
            return "nobody"

    def _count_once(self) -> None:
        for conversion_id, known in self._places.items():
            # What was superseded or rejected stands aside: one place may count.
            counting = [
                sequence
                for merchant, sequence in sorted(known)
                if merchant in self.ledgers and self.ledgers[merchant].counts(sequence)
            ]
            if len(counting) > 1:
                detail = f"counts at sequence {' and '.join(map(str, counting))}"
                self._find("recorded-twice", conversion_id, detail)
