"""What every command of `box` prints with: a table for people, one JSON document with --json; and how it fails."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

F = TypeVar("F", bound=Callable[..., Any])
console = Console(stderr=True, highlight=False)
"""Progress goes to stderr, so that stdout is the answer and nothing else."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")


class _Told(click.ClickException):
    """A sentence on stderr; with --json also `{"error": …}` on stdout, so that what reads it there never finds nothing."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        asked = click.get_current_context(silent=True)
        self._as_json = bool(asked and asked.params.get("as_json"))

    def show(self, file: IO[Any] | None = None) -> None:
        super().show(file)
        if self._as_json:
            click.echo(json.dumps({"error": self.format_message()}))


class Failed(_Told):
    """Something could not be done: the sentence says what, and what to do. Exit code 1."""


class WrongInput(_Told):
    """The person's input cannot work. Exit code 2."""

    exit_code = 2


class Unknown(_Told):
    """What was to be judged could not be read, so nothing is known of it. Exit code 2."""

    exit_code = 2


def explains_failures(command: F) -> F:
    """AWS's and the network's refusals as one sentence instead of a traceback."""

    @functools.wraps(command)
    def explained(*args: Any, **options: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError
        from pynamodb.exceptions import PynamoDBException

        from chalicelib.domain.errors import Refusal
        from ops.local.process import PartFailed

        try:
            return command(*args, **options)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Refusal as refusal:
            raise WrongInput(refusal.detail) from None
        except (ClientError, BotoCoreError) as error:
            raise Failed(_of_aws(error, error)) from None
        except PynamoDBException as error:
            if error.cause is None:
                raise
            raise Failed(_of_aws(error, error.cause)) from None
        except (PartFailed, OSError) as error:
            raise Failed(str(error)) from None
        except Exception as error:
            from chalicelib.adapters.network import NoAnswer  # takes a second, for it brings web3

            if not isinstance(error, NoAnswer):
                raise
            raise Failed(f"the network could not be asked: {error}") from None

    return explained  # type: ignore[return-value]


def _of_aws(error: Exception, cause: Exception) -> str:
    """AWS's no; or that it was never asked: no credentials, no way there."""
    from botocore.exceptions import ClientError

    return f"{'AWS refused' if isinstance(cause, ClientError) else 'AWS could not be asked'}: {error}"


def show(answer: Any, as_json: bool, people: Callable[[], None]) -> None:
    """`answer` as JSON, or whatever `people` prints."""
    if as_json:
        click.echo(json.dumps(answer, indent=1, default=str))
    else:
        people()


def rows(title: str, columns: Sequence[str], found: Sequence[Mapping[str, Any]]) -> None:
    """A table on stdout; a column's heading is its key."""
    table = Table(title=title or None, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in found:
        table.add_row(*("" if row.get(column) is None else str(row[column]) for column in columns))
    # A pipe has no width: there each row is a line.
    Console(highlight=False, width=None if sys.stdout.isatty() else 1_000).print(table)
