"""`box audit`: what a suspicious publisher would run. It walks a merchant's logs from the first block on (ops/ledger.py), needs no
box, and names what should not be; with kept 202 answers it also asks where each of them went.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import click

from chalicelib.adapters.contract_abi import topic
from chalicelib.domain.agreement import GRACE_DAYS
from chalicelib.domain.money import format_amount
from chalicelib.domain.network_changes import REASONS
from chalicelib.domain.network_status import DAY
from ops.answers_audit import AnswersAudit
from ops.boxes.given import ADDRESS, WEB_ADDRESS
from ops.boxes.output import Unknown, WrongInput
from ops.chain_reader import ODD, Chain, ChainUnreadable, topic_of
from ops.kept_answers import Kept, read_saved
from ops.ledger import Ledger
from ops.ledger_entries import Finding
from ops.printable import printable
from ops.receipt_checks import moment

_REASON_NAMES = {code: name for name, code in REASONS.items()}


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
    """`findings` should be empty. `notes` are true and worth knowing. `rejections` counts
    the publisher's by reason, `walked` what was looked at."""

    publisher: str
    now: int
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    totals: list[Total] = field(default_factory=list)
    rejections: Counter[str] = field(default_factory=Counter)
    walked: Counter[str] = field(default_factory=Counter)


def audit_publisher(chain: Chain, publisher: str, merchant: str | None = None, saved: Iterable[Kept] = ()) -> Report:
    """Audits every merchant the publisher has an agreement with, or the one named.

    `publisher` is the account (0x...) that signed. Raises ChainUnreadable.
    """
    publisher = publisher.lower()
    report = Report(publisher, chain.now)
    if not chain.is_known_code:
        only_logs = "not the published contract: only its logs are checked, not its rules"
        why = only_logs if chain.has_code else "there is no contract"
        report.findings.append(Finding("unknown-code", chain.contract, why))
    merchants = {merchant.lower()} if merchant else merchants_of(chain, publisher)
    if not chain.has_code:
        merchants = set()
    elif not merchants:
        report.notes.append(
            f"no merchant has an agreement with {publisher}, or the node keeps no logs that old: name the --merchant to tell"
        )
    ledgers: dict[str, Ledger] = {}
    for each in sorted(merchants):
        ledger = Ledger(chain, each)
        report.findings += ledger.findings
        _agreements(report, ledger)
        _both_sides(report, ledger)
        _versions(report, ledger)
        _totals(report, ledger)
        report.walked.update(
            merchants=1,
            agreements=len(ledger.agreements),
            batches=len(ledger.batches),
            conversions=len(ledger.conversions),
        )
        ledgers[each] = ledger
    answers = list(saved)
    checked = AnswersAudit(chain, publisher, ledgers)
    checked.check(answers)
    report.findings += checked.findings
    report.notes += checked.notes
    report.walked.update(saved=len(answers))
    chain.stands_still()
    return report


def merchants_of(chain: Chain, publisher: str) -> set[str]:
    registered = chain.logs("0x" + topic("AgreementRegistered").hex(), None, None, topic_of(publisher))
    return {"0x" + str(log["topics"][2])[-40:].lower() for log in registered}


def _agreements(report: Report, ledger: Ledger) -> None:
    """Whether all terms of the two were shown: what is recorded under others is looked for in vain."""
    shown = sum(a.terms.publisher.lower() == report.publisher for a in ledger.agreements.values())
    try:
        registered = ledger.chain.views.next_agreement(ledger.merchant, report.publisher)[1] - 1
    except ODD:
        return  # not the published contract, which is a finding already
    if shown < registered and ledger.chain.is_known_code:
        kept_back = f"the contract counts {registered} agreements of you and it, the logs show {shown}"
        report.findings.append(Finding("gap", ledger.merchant, kept_back))
    elif not registered:
        report.notes.append(f"{ledger.merchant} has no agreement with {report.publisher}")


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


def _versions(report: Report, ledger: Ledger) -> None:
    """Under which version a conversion belongs depends on its click, and only its receipt says when that was. Where the version before or
    after may be meant by what the logs show, that is said."""
    ours = [a for a in ledger.agreements.values() if a.terms.publisher.lower() == report.publisher]
    ours.sort(key=lambda agreement: agreement.terms.version)
    for earlier, later in pairwise(ours):
        over = later.registered_at + (earlier.terms.window_days + GRACE_DAYS) * DAY
        of = [c for c in ledger.conversions.values() if c.agreement is later and c.recorded_at < over]
        late = [c for c in ledger.conversions.values() if c.agreement is earlier and c.recorded_at >= over]
        names = f"version {later.terms.version} of {moment(later.registered_at)}"
        if of:
            report.notes.append(
                f"{len(of)} conversions under {names} came so soon after it that their clicks may be older: their receipts tell"
            )
        if late:
            report.notes.append(
                f"{len(late)} conversions came under version {earlier.terms.version} long after {names}: their receipts tell "
                "whether their clicks were before it"
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
        if status == "rejected":
            reason = conversion.reason(report.now)
            report.rejections[_REASON_NAMES.get(reason, f"reason {reason}")] += 1
        total.amount += conversion.amount
        # A rejected conversion earns nothing, whatever commission was logged for it.
        total.commission += 0 if status == "rejected" else conversion.commission
    report.totals += [totals[key] for key in sorted(totals)]


@click.command(
    "audit",
    epilog="Example: box audit --publisher 0x5FbD...0aa3 --rpc https://rpc.example.org",
)
@click.option("--publisher", required=True, help="The account (0x...) that signed the publisher's agreements.")
@click.option("--contract", help="The network contract; found by the publisher's agreements where there is only one.")
@click.option("--rpc", type=WEB_ADDRESS, required=True, help="A node you trust: yours, or a public one.")
@click.option("--merchant", help="Only this merchant's account.")
@click.option("--from-block", default=0, show_default=True, help="The block the contract was deployed in.")
@click.option("--saved", type=click.File("r"), help="Kept 202 answers: a JSON array, or an object a line.")
@click.option("--box", type=WEB_ADDRESS, help="Where to ask for the receipts of kept answers that are not in the file.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
def audit(
    publisher: str,
    contract: str | None,
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
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise WrongInput(f"--saved is neither a JSON array nor JSON lines of 202 answers: {error!r}") from error
    if not ADDRESS.fullmatch(publisher):
        raise WrongInput("--publisher is an account, 0x and 40 hex digits: `publisher` in any receipt names it")
    for option, account in (("--contract", contract), ("--merchant", merchant)):
        if account is not None and not ADDRESS.fullmatch(account):
            raise WrongInput(f"{option} is an address, 0x and 40 hex digits: any receipt names it")
    try:
        contract = contract or _only_contract_of(publisher, rpc, from_block)
        report = audit_publisher(Chain(rpc, contract, from_block), publisher, merchant, answers)
    except ChainUnreadable as silence:
        raise Unknown(f"not audited: {printable(str(silence))}") from silence
    click.echo(json.dumps(_document(report)) if as_json else _text(report))
    sys.exit(1 if report.findings else 0)


def _only_contract_of(publisher: str, rpc: str, from_block: int) -> str:
    """The contract that logged this publisher's agreements. Raises WrongInput when there is none or more than one."""
    logs = Chain(rpc, "", from_block).logs("0x" + topic("AgreementRegistered").hex(), None, None, topic_of(publisher))
    contracts = sorted({str(log["address"]) for log in logs})
    if len(contracts) != 1:
        found = (
            f"{len(contracts)} contracts hold agreements of it: {', '.join(contracts)}" if contracts else "none does"
        )
        raise WrongInput(f"give --contract: the contract with this publisher's agreements is not clear ({found})")
    return contracts[0]


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
        "rejections": dict(report.rejections),
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
    lines += [f"rejected as {reason}: {count}" for reason, count in report.rejections.most_common()]
    walked = ", ".join(f"{count} {name}" for name, count in report.walked.items())
    lines.append(f"walked {walked or 'nothing'} up to {moment(report.now)}: {len(report.findings)} findings")
    return "\n".join(map(printable, lines))
