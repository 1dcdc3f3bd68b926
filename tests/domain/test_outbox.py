"""What the network still lacks follows from the conversion alone."""

from msgspec.structs import replace

from chalicelib.domain.attribution import Attribution
from chalicelib.domain.conversion import Conversion, Entry, in_groups_of
from chalicelib.domain.outbox import Operation, decision_on_entry, next_operation
from chalicelib.domain.report import Line
from tests.domain.orders import conversion


def next_of(found: Conversion, hold: bool = False) -> Operation | None:
    return next_operation(found, hold_unverified=hold)


def recorded(found: Conversion) -> Conversion:
    entry = Entry(
        payload={},
        agreement_id=found.attribution.agreement_id or "",
        publisher_id=found.attribution.publisher_id or "",
        groups=("default", "books"),
        lines=in_groups_of(("default", "books"), found.lines),
        verified=found.verified,
        batch="00" * 32,
        signer="0x0",
        nonce=1,
        index=0,
    )
    return replace(found, entries=(entry,))


def test_an_attributed_conversion_is_to_be_recorded() -> None:
    assert next_of(conversion()) == "record"


def test_nothing_is_due_once_the_network_holds_it() -> None:
    assert next_of(recorded(conversion())) is None


def test_an_unattributed_conversion_never_goes_on_chain() -> None:
    assert next_of(conversion(attribution=Attribution(rule="none", reason="no_click"))) is None


def test_a_test_conversion_never_goes_on_chain() -> None:
    assert next_of(conversion(is_test=True)) is None


def test_one_that_was_set_aside_stays_aside() -> None:
    assert next_of(replace(conversion(), set_aside="AgreementClosed")) is None


def test_a_decision_on_one_that_was_set_aside_is_due_still_and_nothing_else() -> None:
    found = replace(recorded(conversion()), set_aside="AgreementClosed", lines=(Line("books", 1),), amount=1)
    assert next_of(found) is None
    assert next_of(replace(found, decision="approved")) == "decide"


def test_an_entry_whose_successor_is_set_aside_is_to_be_rejected() -> None:
    found = recorded(conversion())
    moved = replace(found.attribution, publisher_id="p2", agreement_id="a2")
    aside = replace(found, attribution=moved, set_aside="AgreementClosed", decision="approved")
    assert next_of(aside) == "decide"
    assert decision_on_entry(aside) == ("rejected", "other")
    assert decision_on_entry(replace(aside, decision="rejected", reason="fraud")) == ("rejected", "fraud")
    rejected = replace(aside.entries[0], decision="rejected", reason="other")
    assert next_of(replace(aside, entries=(rejected,))) is None


def test_a_held_conversion_waits_until_it_is_verified_or_approved() -> None:
    assert next_of(conversion(), hold=True) is None
    assert next_of(conversion("server"), hold=True) == "record"
    assert next_of(replace(conversion(), decision="approved"), hold=True) == "record"


def test_a_decision_made_after_recording_is_to_be_decided() -> None:
    assert next_of(replace(recorded(conversion()), decision="approved")) == "decide"


def test_a_decision_taken_back_before_it_was_sent_leaves_nothing_to_do() -> None:
    found = replace(recorded(conversion()), decision="approved")
    assert next_of(replace(found, decision="open")) is None


def test_a_new_amount_is_to_be_amended_before_it_is_decided() -> None:
    found = replace(recorded(conversion()), lines=(Line("default", 1),), amount=1, decision="approved")
    assert next_of(found) == "amend"


def test_a_verification_after_recording_is_to_be_amended() -> None:
    assert next_of(replace(recorded(conversion()), verified=True)) == "amend"


def test_another_publisher_or_another_split_supersedes() -> None:
    found = recorded(conversion())
    moved = replace(found.attribution, publisher_id="p2", agreement_id="a2")
    assert next_of(replace(found, attribution=moved)) == "supersede"
    assert next_of(replace(found, lines=(Line("books", 5_000), Line("default", 5_000)))) == "supersede"


def test_a_group_the_agreement_does_not_name_counts_as_the_default() -> None:
    lines = (Line("books", 1), Line("toys", 2), Line("default", 4))
    assert in_groups_of(("default", "books"), lines) == (Line("default", 6), Line("books", 1))
    found = recorded(conversion())
    assert next_of(replace(found, lines=(Line("toys", 10_000),))) is None
