"""Limits per key and per address: told in headers, enforced across processes, and no address is kept."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.bootstrap import Box
from chalicelib.domain.errors import TooMany
from chalicelib.services import limits
from chalicelib.services.access import create_key
from ops.asking import ask
from ops.local.dynoxide import Dynoxide
from ops.local.running import RunningBox
from tests.api.conftest import Desk, ShiftedBox, settings_of


@pytest.fixture
def fresh(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    """A process that has counted nothing yet."""
    monkeypatch.setattr(limits, "_windows", {})
    monkeypatch.setattr(limits, "_setting", None)
    monkeypatch.setattr(limits, "_salts", {})
    yield desk.inside


def setting(monkeypatch: pytest.MonkeyPatch, box: Box, **calls: int) -> None:
    monkeypatch.setattr(limits, "_setting", (box.now(), limits.Limits(**calls)))


def test_past_the_limit_the_caller_is_told_when_to_come_back(fresh: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    setting(monkeypatch, fresh, key=30, address=0)
    left = [limits.take_by_key(fresh, "k1") for _ in range(30)]
    assert [one.remaining for one in left if one] == list(range(29, -1, -1))
    with pytest.raises(TooMany) as refused:
        limits.take_by_key(fresh, "k1")
    assert 1 <= refused.value.retry_after <= 60 and refused.value.limit == 30
    assert limits.take_by_key(fresh, "k2") is not None


def test_two_processes_share_a_limit_to_within_a_tenth_each(fresh: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    setting(monkeypatch, fresh, key=100, address=0)
    windows: list[dict[str, Any]] = [{}, {}]
    taken = 0
    for turn in range(400):
        monkeypatch.setattr(limits, "_windows", windows[turn % 2])
        try:
            limits.take_by_key(fresh, "shared")
            taken += 1
        except TooMany:
            pass
    assert 100 <= taken <= 120


def test_a_shoppers_few_calls_write_nothing_and_a_flood_writes_a_tenth_at_a_time(
    fresh: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting(monkeypatch, fresh, key=0, address=600)
    writes: list[str] = []
    real = fresh.limits.add

    def counted(name: str, calls: int, until: int) -> int:
        writes.append(name)
        return real(name, calls, until)

    monkeypatch.setattr(fresh.limits, "add", counted)
    for _ in range(10):
        limits.take_by_address(fresh, "203.0.113.9")
    assert writes == []
    for _ in range(590):
        limits.take_by_address(fresh, "203.0.113.9")
    assert len(writes) == 10


def test_an_address_is_never_kept_and_its_salt_is_gone_two_days_later(
    fresh: Box, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chalicelib.adapters.tables import Limits

    setting(monkeypatch, fresh, key=0, address=10)
    for _ in range(10):
        limits.take_by_address(fresh, "203.0.113.77")
    rows = list(Limits.scan())
    assert any(row.name.startswith("address#") for row in rows)
    assert "203.0.113.77" not in json.dumps([str(row.attribute_values) for row in rows])
    salts = [row for row in rows if row.name.startswith("salt#")]
    assert salts and all(row.expires_at * 1000 <= fresh.now() + 2 * 86_400_000 for row in salts)
    monkeypatch.setattr(limits, "_windows", {})
    tomorrow = ShiftedBox(desk.inside.settings)
    tomorrow.ahead = 86_400_000
    assert limits._hidden(tomorrow, "203.0.113.77") != limits._hidden(fresh, "203.0.113.77")


def test_a_limited_box_says_so_in_its_headers_and_answers_429_by_key_and_by_address(tmp_path: Path) -> None:
    dynamodb = Dynoxide(tmp_path / "dynamodb", usual_port=0)
    running = RunningBox(tmp_path / "box", "--port", "0", "--dynamodb", dynamodb.url)
    try:
        inside = Box(settings_of(running, dynamodb.url))
        limits.set_limits(inside, limits.Limits(key=5, address=12))
        key = create_key(inside, "limited", "readonly")
        if (left_of_this_minute := 60 - time.time() % 60) < 20:
            time.sleep(left_of_this_minute)  # the count begins anew with each minute
        restarted_setting_is_read = f"{running.url}/v1/status"
        answers = [ask("GET", restarted_setting_is_read) for _ in range(3)]
        assert [answer.headers["RateLimit-Limit"] for answer in answers] == ["12"] * 3
        assert [int(answer.headers["RateLimit-Remaining"]) for answer in answers] == [11, 10, 9]
        by_key = [ask("GET", f"{running.url}/v1/key", Authorization=f"Bearer {key}") for _ in range(6)]
        assert [answer.status for answer in by_key] == [200] * 5 + [429]
        assert by_key[0].headers["RateLimit-Limit"] == "5"
        refused = by_key[-1]
        assert refused.json["code"] == "too_many_calls"
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert refused.headers["RateLimit-Remaining"] == "0"
        by_address = [ask("GET", f"{running.url}/v1/status").status for _ in range(4)]
        assert by_address == [200, 200, 200, 429]
        assert ask("GET", f"{running.url}/v1/config").status == 200
        image = ask("GET", f"{running.url}/v1/beacon/conversion.gif?orderId=1&values=1.00&action=sale")
        assert (image.status, image.headers["Content-Type"]) == (200, "image/svg+xml"), "whatever happens, an image"
        assert image.headers["X-Conversion-Code"] == "too_many_calls"
    finally:
        running.stop()
        dynamodb.stop()
