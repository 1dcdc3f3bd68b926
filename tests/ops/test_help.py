"""What holds for every command of `box`: a program can read its answer, a person sees how it is called and why it failed."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from botocore.config import Config
from botocore.session import Session

from chalicelib.adapters import tables
from ops.boxes.output import Failed, explains_failures
from ops.cli import main
from ops.local.dynoxide import Dynoxide


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from commands(found, f"{path} {name}")
        else:
            yield f"{path} {name}", found


COMMANDS = dict(commands(main, "box"))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_answers_in_json_and_shows_an_example(name: str) -> None:
    command = COMMANDS[name]
    assert any("--json" in option.opts for option in command.params)
    shown = " ".join(command.get_help(click.Context(command, info_name=name)).split())
    assert name in shown.partition("Example: ")[2], shown


def failure_of(url: str) -> str:
    """What a command says that looks for a table there."""

    @explains_failures
    def ask() -> None:
        once = Config(retries={"total_max_attempts": 1})
        dynamodb = Session().create_client("dynamodb", region_name="eu-central-1", endpoint_url=url, config=once)
        dynamodb.describe_table(TableName="nobodys")

    with pytest.raises(Failed) as failed:
        ask()
    return failed.value.message


def test_what_aws_refuses_is_told_as_its_refusal(dynamodb: Dynoxide) -> None:
    assert failure_of(dynamodb.url).startswith("AWS refused: ")


def test_who_has_no_credentials_or_reaches_nobody_was_not_refused(
    dynamodb: Dynoxide, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreached = failure_of("http://127.0.0.1:9")
    assert unreached.startswith("AWS could not be asked: Could not connect")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    assert failure_of(dynamodb.url) == "AWS could not be asked: Unable to locate credentials"


def test_a_table_that_is_not_there_is_told_by_its_name(dynamodb: Dynoxide) -> None:
    @explains_failures
    def ask() -> None:
        tables.bind("nobodys", "eu-central-1", dynamodb.url)
        list(tables.State.scan())

    with pytest.raises(Failed, match=r"AWS refused: .*nobodys-state"):
        ask()
