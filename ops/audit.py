"""`box audit`: what a suspicious publisher would run. It walks a merchant's logs from the first block on (ops/ledger.py), needs no
box, and names what should not be; with kept 202 answers it also asks where each of them went.
"""

import json
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import click

from chalicelib.adapters.contract_abi import topic
from chalicelib.adapters.contract_events import AgreementRegistered
from chalicelib.domain.money import format_amount
from ops.chain_reader import Chain, ChainUnreadable, topic_of
from ops.ledger import Finding, Ledger
from ops.receipt_checks import CLOCKS_MAY_DIFFER, moment, parse_time
from ops.verify import verify_receipt


@dataclass
class Total:
    """Of one merchant, currency and status; amounts in minor units."""

    merchant: str
    currency: str
    status: str
    conversions: int = 0
    amount: int = 0
    commission: int = 0


@dataclass
class Report:
    """`findings` should be empty. `notes` are true and worth knowing. `walked` counts what was looked at."""

    publisher: str
    now: int
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    totals: list[Total] = field(default_factory=list)
    walked: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Saved:
    """A 202 answer that was kept, with the receipt when there is one. `saved_at` in Unix seconds."""

    conversion_id: str
    attributed: bool
    saved_at: int | None
    receipt: dict[str, Any] | None


def audit_publisher(chain: Chain, publisher: str, merchant: str | None = None, saved: Iterable[Saved] = ()) -> Report:
    """Audits every merchant the publisher has an agreement with, or the one named.

    `publisher` is the account (0x...) that signed. Raises ChainUnreadable.
    """
    publisher = publisher.lower()
    report = Report(publisher, chain.now)
    if not chain.is_known_code:
        report.findings.append(
            Finding(
                "unknown-code", chain.contract, "not the published contract: only its logs are checked, not its rules"
            )
        )
    merchants = {merchant.lower()} if merchant else merchants_of(chain, publisher)
    if not merchants:
        report.notes.append(f"no merchant has an agreement with {publisher}")
    ledgers: dict[str, Ledger] = {}
    for each in sorted(merchants):
        ledger = Ledger(chain, each)
        report.findings += ledger.findings
        _both_sides(report, ledger)
        _totals(report, ledger)
        report.walked.update(
            merchants=1,
            agreements=len(ledger.agreements),
            batches=len(ledger.batches),
            conversions=len(ledger.conversions),
        )
        ledgers[each] = ledger
    _kept_answers(report, chain, ledgers, list(saved))
    return report


def merchants_of(chain: Chain, publisher: str) -> set[str]:
    registered = chain.events("0x" + topic("AgreementRegistered").hex(), None, None, topic_of(publisher))
    return {event.merchant for event in registered if isinstance(event, AgreementRegistered)}


def _both_sides(report: Report, ledger: Ledger) -> None:
    for agreement in ledger.agreements.values():
        signer = agreement.terms.publisher.lower()
        if signer in ledger.keys and not agreement.terms.hosted:
            report.findings.append(
                Finding(
                    "both-sides",
                    "0x" + agreement.id.hex(),
                    f"its publisher {signer} is also an operational key of the merchant, and the agreement hides it",
                )
            )
        if agreement.terms.hosted and signer == report.publisher:
            report.notes.append(
                f"agreement 0x{agreement.id.hex()} is hosted: one box signed for both sides, which proves less"
            )


def _totals(report: Report, ledger: Ledger) -> None:
    totals: dict[tuple[str, str], Total] = {}
    for conversion in ledger.conversions.values():
        terms = conversion.agreement.terms
        if terms.publisher.lower() != report.publisher:
            continue
        status = conversion.status(report.now)
        total = totals.setdefault((terms.currency, status), Total(ledger.merchant, terms.currency, status))
        total.conversions += 1
        total.amount += conversion.amount
        # A rejected conversion earns nothing, whatever commission was logged for it.
        total.commission += 0 if status == "rejected" else conversion.commission
    report.totals += [totals[key] for key in sorted(totals)]


def _kept_answers(report: Report, chain: Chain, ledgers: dict[str, Ledger], saved: list[Saved]) -> None:
    """Each kept 202 must have a receipt that holds; a conversion has one place on the chain."""
    places: dict[str, set[tuple[str, int]]] = {}
    for answer in saved:
        report.walked["saved"] += 1
        if not answer.attributed:
            continue
        if answer.receipt is None:
            report.findings.append(
                Finding("missing", answer.conversion_id, "answered with 202, and no receipt shows it on the network")
            )
            continue
        if _one_receipt(report, chain, answer, answer.receipt):
            place = str(answer.receipt["merchant"]).lower(), int(answer.receipt["sequence"])
            places.setdefault(answer.conversion_id, set()).add(place)
    for conversion_id, known in places.items():
        # What was superseded or rejected stands aside: one place may count.
        counting = [
            sequence
            for merchant, sequence in sorted(known)
            if merchant in ledgers and ledgers[merchant].conversions[sequence].status(report.now) != "rejected"
        ]
        if len(counting) > 1:
            detail = f"counts at sequence {' and '.join(map(str, counting))}"
            report.findings.append(Finding("recorded-twice", conversion_id, detail))


def _one_receipt(report: Report, chain: Chain, answer: Saved, receipt: dict[str, Any]) -> bool:
    """Whether the receipt holds, for the conversion that was answered."""
    where = answer.conversion_id
    checks = verify_receipt(receipt, chain.url, chain.contract)
    if not checks[-1].ok:
        detail = f"{checks[-1].name}: {checks[-1].detail}"
        report.findings.append(Finding("false-receipt", where, detail))
        return False
    if receipt["conversionId"] != where:
        report.findings.append(Finding("missing", where, f"its receipt is of {receipt['conversionId']}"))
        return False
    if str(receipt["publisher"]).lower() != report.publisher:
        report.findings.append(
            Finding("both-sides", where, f"recorded for {receipt['publisher']}, an account that is not yours")
        )
    created = parse_time(receipt["payload"]["createdAt"])
    if answer.saved_at is not None and abs(created - answer.saved_at) > CLOCKS_MAY_DIFFER:
        report.findings.append(
            Finding("back-dated", where, f"answered on {moment(answer.saved_at)}, dated {moment(created)} by the box")
        )
    return True


def read_saved(text: str, box: str | None = None) -> list[Saved]:
    """Kept answers: a JSON array, or a JSON object a line. Each is a 202 answer as it came, or {"answer", "savedAt"?, "receipt"?}.

    With `box`, receipts that are not in the file are asked for there. Raises ValueError.
    """
    stripped = text.strip()
    rows = json.loads(stripped) if stripped.startswith("[") else [json.loads(line) for line in stripped.splitlines()]
    saved = []
    for row in rows:
        answer = row.get("answer", row)
        receipt = row.get("receipt") or (fetch_receipt(box, answer["conversionId"]) if box else None)
        saved_at = parse_time(row["savedAt"]) if "savedAt" in row else None
        saved.append(Saved(str(answer["conversionId"]), bool(answer.get("attributed", True)), saved_at, receipt))
    return saved


def fetch_receipt(box: str, conversion_id: str) -> dict[str, Any] | None:
    """The box's receipt, None when it has none to show."""
    try:
        with urllib.request.urlopen(f"{box.rstrip('/')}/v1/receipts/{conversion_id}", timeout=30) as response:
            found: dict[str, Any] | None = json.load(response) if response.status == 200 else None
    except (urllib.error.URLError, OSError, ValueError):
        return None
    return found


@click.command(
    "audit",
    epilog="Example: box audit --publisher 0x5FbD...0aa3 --contract 0xe7f1...0512 --rpc https://rpc.example.org",
)
@click.option("--publisher", required=True, help="The account (0x...) that signed the publisher's agreements.")
@click.option("--contract", required=True, help="The network contract.")
@click.option("--rpc", required=True, help="A node you trust: yours, or a public one.")
@click.option("--merchant", help="Only this merchant's account.")
@click.option("--from-block", default=0, show_default=True, help="The block the contract was deployed in.")
@click.option("--saved", type=click.File("r"), help="Kept 202 answers: a JSON array, or an object a line.")
@click.option("--box", help="Where to ask for the receipts of kept answers that are not in the file.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
def audit(
    publisher: str,
    contract: str,
    rpc: str,
    merchant: str | None,
    from_block: int,
    saved: Any,
    box: str | None,
    as_json: bool,
) -> None:
    """Walk a merchant's logs and name gaps, late changes, wrong commissions and kept answers that led nowhere.

    Exit code 0: nothing found. 1: something was, and is named. 2: the node cannot be read, so nothing is known.
    """
    try:
        answers = read_saved(saved.read(), box) if saved else []
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise click.UsageError(f"--saved is neither a JSON array nor JSON lines of 202 answers: {error!r}") from error
    try:
        report = audit_publisher(Chain(rpc, contract, from_block), publisher, merchant, answers)
    except ChainUnreadable as silence:
        click.echo(f"not audited: {silence}", err=True)
        sys.exit(2)
    click.echo(json.dumps(_document(report)) if as_json else _text(report))
    sys.exit(1 if report.findings else 0)


def _document(report: Report) -> dict[str, Any]:
    return {
        "ok": not report.findings,
        "publisher": report.publisher,
        "at": moment(report.now),
        "findings": [asdict(finding) for finding in report.findings],
        "notes": report.notes,
        "totals": [
            {
                **asdict(total),
                "amount": format_amount(total.amount, total.currency),
                "commission": format_amount(total.commission, total.currency),
            }
            for total in report.totals
        ],
        "walked": dict(report.walked),
    }


def _text(report: Report) -> str:
    lines = [f"{finding.kind}: {finding.where}: {finding.detail}" for finding in report.findings]
    lines += [f"note: {note}" for note in report.notes]
    lines += [
        f"{total.merchant} {total.status:<9} {total.conversions:>6} conversions "
        f"{format_amount(total.amount, total.currency):>14} {total.currency}, "
        f"commission {format_amount(total.commission, total.currency)} {total.currency}"
        for total in report.totals
    ]
    walked = ", ".join(f"{count} {name}" for name, count in report.walked.items())
    lines.append(f"walked {walked or 'nothing'} up to {moment(report.now)}: {len(report.findings)} findings")
    return "\n".join(lines)
