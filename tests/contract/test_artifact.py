"""The committed bytes are those of the committed source, and the network takes them."""

from chalicelib.adapters.contract_abi import artifact, errors
from ops.compile_contract import SOURCE, build

MAX_DEPLOYED = 24_576  # bytes, EIP-170


def test_the_committed_artifact_is_what_the_source_compiles_to() -> None:
    assert build(SOURCE.read_text()) == artifact()


def test_the_contract_is_well_under_the_size_limit() -> None:
    assert len(artifact()["runtime"]) // 2 - 1 < MAX_DEPLOYED - 4096


def test_every_named_error_is_in_the_abi() -> None:
    names = {item["name"] for item in errors().values()}
    assert {"NotAuthorised", "AlreadyRecorded", "Locked", "TotalsExhausted", "HighS"} <= names
    assert len(names) == len(errors())
