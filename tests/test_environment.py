"""No test may leave its settings to the next one."""

import os

from chalicelib.settings import settings


def test_a_test_sets_what_it_likes() -> None:
    os.environ["MERCHANT"] = "left-behind"
    settings.cache_clear()
    assert settings().merchant == "left-behind"


def test_and_the_next_one_finds_nothing_of_it() -> None:
    assert "MERCHANT" not in os.environ
    assert settings().merchant == "demo"
