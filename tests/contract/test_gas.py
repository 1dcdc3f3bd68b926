"""The gas the network costs: limits on figures counted from real receipts, not on estimates."""

from collections.abc import Iterator

import pytest

from bench import gas
from bench.gas import ONE_RULE, THREE_RULES, Bench, Form
from chalicelib.domain.network_changes import Run


@pytest.fixture(scope="module")
def bench(node: str) -> Iterator[Bench]:
    bench = Bench(node)
    snapshot = bench.network.rpc("evm_snapshot")
    yield bench
    bench.network.rpc("evm_revert", snapshot)


ONE = Form("one", 1, ONE_RULE)
ONE_OF_THREE = Form("one of three rules", 1, THREE_RULES)
TEN = Form("ten", 10, ONE_RULE)
TEN_OF_THREE = Form("ten of three rules", 10, THREE_RULES)


@pytest.mark.parametrize(
    ("form", "at_100", "at_200"),
    [
        (ONE, 1_500, 1_160),
        (ONE_OF_THREE, 1_500, 1_160),
        (TEN, 2_350, 1_650),
        (TEN_OF_THREE, 2_600, 1_750),
    ],
    ids=lambda value: value.name if isinstance(value, Form) else "",
)
def test_recording_stays_within_its_gas(bench: Bench, form: Form, at_100: int, at_200: int) -> None:
    assert bench.record(form, 100) <= at_100 * 100
    assert bench.record(form, 200) <= at_200 * 200


def test_a_batch_is_far_below_the_naive_form(bench: Bench) -> None:
    naive = bench.naive()
    assert 50_000 < naive < 60_000  # a straw man would be dearer
    assert naive >= 33 * bench.record(ONE, 100) / 100
    assert naive >= 33 * bench.record(ONE_OF_THREE, 100) / 100


def test_deciding_a_run_of_a_hundred_stays_within_its_gas(bench: Bench) -> None:
    run = Run(0, 100, "rejected", 1)
    assert bench.decide(100, run) <= 600 * 100
    assert bench.decide(300, Run(150, 100, "rejected", 1)) <= 900 * 100
    assert bench.decide(100, run, times=2) <= 450 * 100


@pytest.mark.parametrize("form", [ONE, ONE_OF_THREE, TEN_OF_THREE], ids=lambda form: form.name)
def test_an_amendment_in_a_batch_of_a_hundred_stays_within_its_gas(bench: Bench, form: Form) -> None:
    assert bench.amend(form, 100) <= 65_000


def test_the_table_prints_what_was_measured(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gas, "SIZES", (1, 2))
    assert [len(figures) for _, figures in gas.rows(bench)] == [2] * (len(gas.FORMS) + 1)
