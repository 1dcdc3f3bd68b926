"""From operations to calls: what one transaction will carry, and how each conversion's entries will read once it does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from chalicelib.adapters import contract
from chalicelib.bootstrap import Box
from chalicelib.domain.batch import Batch, pack, split
from chalicelib.domain.batch import Entry as BatchEntry
from chalicelib.domain.commitment import commit
from chalicelib.domain.conversion import Conversion, Entry, in_groups_of
from chalicelib.domain.keccak import keccak256
from chalicelib.domain.network_changes import (
    MAX_AMENDMENTS,
    REASONS,
    SUPERSEDED,
    VERIFIED_REPORT,
    Amendment,
    Change,
    Run,
    runs,
)
from chalicelib.domain.outbox import Operation, decision_on_entry
from chalicelib.domain.party import Agreement
from chalicelib.domain.payload import public_payload
from chalicelib.domain.report import Line
from chalicelib.domain.transaction import Cargo, Kind, Member
from chalicelib.services.entries import currency_of

MAX_DECISIONS = 64
"""Conversions in one decide call: each of another batch takes 64 bytes, of the contract's 4,096."""


class AnotherCurrency(ValueError):
    """An agreement pays for what is in its own currency."""


@dataclass(frozen=True)
class Draft:
    """A call not yet given a nonce. Entries in `members` name signer "" and nonce -1 until `cargo` numbers them."""

    kind: Kind
    calldata: bytes
    members: tuple[Member, ...]
    body: bytes = b""
    commitments: bytes = b""
    anchored: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    """Click ids and Merkle leaves, for an anchor."""

    @property
    def conversion_ids(self) -> frozenset[str]:
        return frozenset(member.conversion_id for member in self.members)

    def cargo(self, signer: str, nonce: int) -> Cargo:
        """As the transaction of that nonce carries it."""
        return Cargo(
            calldata=self.calldata.hex(),
            body=self.body.hex(),
            commitments=self.commitments.hex(),
            members=tuple(numbered(member, signer, nonce) for member in self.members),
            anchored=self.anchored,
            leaves=self.leaves,
        )


def draft(box: Box, operation: Operation, conversions: Sequence[Conversion]) -> Draft:
    """The call for as many of the conversions, from the first, as fit into one."""
    if operation == "record":
        return _record(box, conversions)
    if operation == "supersede":
        return _supersede(box, conversions)
    if operation == "amend":
        return _amend(box, conversions)
    return _decide(box, conversions)


def _record(box: Box, conversions: Sequence[Conversion]) -> Draft:
    batch, members = _batch(box, conversions)
    calldata = contract.encode_record(box.config.merchant.account, batch)
    return Draft("record", calldata, members, batch.body, batch.commitments)


def _supersede(box: Box, conversions: Sequence[Conversion]) -> Draft:
    batch, new = _batch(box, conversions[:MAX_DECISIONS])
    superseded = {member.conversion_id for member in new}
    old = [c for c in conversions if c.conversion_id in superseded]
    changes = _changes(old, [Change(0, "rejected", SUPERSEDED)] * len(old))
    rejected = [
        Member(
            conversion_id=c.conversion_id,
            number=len(c.entries) - 1,
            before=c.entries[-1],
            entry=replace(c.entries[-1], decision="rejected", reason="superseded"),
        )
        for c in old
    ]
    calldata = contract.encode_supersede(box.config.merchant.account, changes, batch)
    return Draft("supersede", calldata, (*rejected, *new), batch.body, batch.commitments)


def _decide(box: Box, conversions: Sequence[Conversion]) -> Draft:
    chosen = conversions[:MAX_DECISIONS]
    decisions = [decision_on_entry(c) for c in chosen]
    changes = _changes(chosen, [Change(0, to, REASONS[why] if why else 0) for to, why in decisions])
    members = tuple(
        Member(
            conversion_id=c.conversion_id,
            number=len(c.entries) - 1,
            before=c.entries[-1],
            entry=replace(c.entries[-1], decision=to, reason=why),
        )
        for c, (to, why) in zip(chosen, decisions, strict=True)
    )
    return Draft("decide", contract.encode_decide(box.config.merchant.account, changes), members)


def _amend(box: Box, conversions: Sequence[Conversion]) -> Draft:
    """All of one batch: the call shows that batch's body again."""
    first = conversions[0].entries[-1]
    carrier = box.transactions.cargo(first.signer, first.nonce)
    amendments: list[Amendment] = []
    members: list[Member] = []
    for conversion in conversions:
        entry = conversion.entries[-1]
        if entry.batch != first.batch or len(amendments) + len(entry.lines) > MAX_AMENDMENTS:
            continue
        _check_currency(conversion, currency_of(conversion, entry))
        lines = in_groups_of(entry.groups, conversion.lines)
        verifies = conversion.verified and not entry.verified
        amendments += _amendments(entry, lines, verifies)
        amended = replace(entry, lines=lines, verified=conversion.verified or entry.verified)
        members.append(
            Member(
                conversion_id=conversion.conversion_id, number=len(conversion.entries) - 1, before=entry, entry=amended
            )
        )
    commitments_hash = keccak256(bytes.fromhex(carrier.commitments))
    calldata = contract.encode_amend(
        box.config.merchant.account, bytes.fromhex(carrier.body), commitments_hash, amendments
    )
    return Draft("amend", calldata, tuple(members))


def _amendments(entry: Entry, lines: Sequence[Line], verifies: bool) -> list[Amendment]:
    reason = VERIFIED_REPORT if verifies else REASONS["refund"]
    return [
        Amendment(entry.index + place, after.amount, verifies, reason)
        for place, (before, after) in enumerate(zip(entry.lines, lines, strict=True))
        if verifies or before != after
    ]


def _changes(conversions: Sequence[Conversion], decisions: Sequence[Change]) -> dict[bytes, list[Run]]:
    """`decisions[i]` on every entry of the batch that is `conversions[i]`'s."""
    by_batch: dict[bytes, list[Change]] = {}
    for conversion, decision in zip(conversions, decisions, strict=True):
        entry = conversion.entries[-1]
        places = range(entry.index, entry.index + len(entry.lines))
        changes = [Change(place, decision.status, decision.reason) for place in places]
        by_batch.setdefault(bytes.fromhex(entry.batch), []).extend(changes)
    return {digest: runs(changes) for digest, changes in by_batch.items()}


def _batch(box: Box, conversions: Sequence[Conversion]) -> tuple[Batch, tuple[Member, ...]]:
    """Pack the conversions that may share the first one's batch, and say how each will read."""
    agreements = _agreements(box, conversions)
    offered: list[tuple[Candidate, BatchEntry]] = []
    for conversion in conversions:
        candidate = _candidate(box, conversion, agreements[conversion.attribution.agreement_id or ""])
        offered += [(candidate, entry) for entry in _entries(candidate)]
    days = {key(a): (a.terms.validation_days, a.terms.lock_days) for a in agreements.values()}
    together = split([entry for _, entry in offered], days)[0]
    silence_all = {key(a) for a in agreements.values() if a.terms.silence == "all"}
    batch = pack([offered[i][1] for i in together], silence_all)
    first: dict[str, tuple[Candidate, int]] = {}
    for place, i in enumerate(together):
        candidate = offered[i][0]
        first.setdefault(candidate.conversion.conversion_id, (candidate, batch.positions[place]))
    return batch, tuple(_new_member(candidate, batch, index) for candidate, index in first.values())


@dataclass(frozen=True)
class Candidate:
    """A conversion as it is about to be recorded: its lines in its agreement's groups, and what is public of it."""

    conversion: Conversion
    agreement: Agreement
    lines: tuple[Line, ...]
    payload: dict[str, Any]


def _candidate(box: Box, conversion: Conversion, agreement: Agreement) -> Candidate:
    _check_currency(conversion, agreement.terms.currency)
    lines = in_groups_of(agreement.terms.groups, conversion.lines)
    return Candidate(conversion, agreement, lines, public_payload(conversion, box.config.merchant.account, lines))


def _check_currency(conversion: Conversion, agreed: str) -> None:
    """The network knows minor units alone: of another currency than the agreement's they would be another amount. So it is where the
    config's currency was changed and the agreements were not. Raises AnotherCurrency."""
    if conversion.currency != agreed:
        raise AnotherCurrency(f"the order is in {conversion.currency}, its agreement in {agreed}")


def _entries(candidate: Candidate) -> list[BatchEntry]:
    """One for each line, all under the conversion's one commitment."""
    conversion, agreement = candidate.conversion, candidate.agreement
    commitment = commit(candidate.payload, bytes.fromhex(conversion.salt))
    return [
        BatchEntry(
            agreement=key(agreement),
            action=conversion.action,
            amount=line.amount,
            commitment=commitment,
            group=agreement.terms.group_number(line.group),
            verified=conversion.verified,
        )
        for line in candidate.lines
    ]


def _new_member(candidate: Candidate, batch: Batch, index: int) -> Member:
    conversion, agreement = candidate.conversion, candidate.agreement
    entry = Entry(
        payload=candidate.payload,
        agreement_id=agreement.agreement_id,
        publisher_id=agreement.publisher_id,
        groups=agreement.terms.groups,
        lines=candidate.lines,
        verified=conversion.verified,
        batch=batch.digest.hex(),
        signer="",
        nonce=-1,
        index=index,
    )
    return Member(conversion_id=conversion.conversion_id, number=len(conversion.entries), before=None, entry=entry)


def key(agreement: Agreement) -> bytes:
    return bytes.fromhex(agreement.agreement_id.removeprefix("0x"))


def _agreements(box: Box, conversions: Sequence[Conversion]) -> dict[str, Agreement]:
    ids = {c.attribution.agreement_id for c in conversions if c.attribution.agreement_id}
    return {agreement_id: found for agreement_id in ids if (found := box.agreements.get(agreement_id))}


def numbered(member: Member, signer: str, nonce: int) -> Member:
    """The member with the transaction that carries it."""
    if member.before is None:
        return replace(member, entry=replace(member.entry, signer=signer, nonce=nonce))
    return replace(member, entry=replace(member.entry, last_change=(signer, nonce)))
