"""What holds for every command of `box`: a program can read its answer, and a person sees how it is called."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from ops.cli import main


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
