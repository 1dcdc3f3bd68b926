"""`box`: the operator's command. Each subcommand is imported when it is asked for, so that none pays for
another's imports."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import signal
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import click

DEFAULT_DATA = Path(".data/demo")
_ELSEWHERE = {
    "verify": "ops.verify:verify",
    "audit": "ops.audit:audit",
    "doctor": "ops.doctor:doctor",
    "new": "ops.boxes.new:new",
    "config": "ops.boxes.config:config",
    "provision": "ops.boxes.deploying:provision",
    "deploy": "ops.boxes.deploying:deploy",
    "gateway": "ops.boxes.deploying:gateway",
    "smoke": "ops.boxes.deploying:smoke",
    "upgrade": "ops.boxes.deploying:upgrade",
    "destroy": "ops.boxes.destroy:destroy",
    "export": "ops.boxes.transfer:export_command",
    "import": "ops.boxes.transfer:import_command",
    "keys": "ops.boxes.keys:keys",
    "limits": "ops.boxes.limits:limits",
    "page-secret": "ops.boxes.page_secret:page_secret",
    "publisher": "ops.boxes.publisher:publisher",
    "agreement": "ops.boxes.agreement:agreement",
    "signer": "ops.boxes.signer:signer",
    "status": "ops.boxes.status:status",
    "tail": "ops.boxes.tail:tail",
    "rebuild-stats": "ops.boxes.stats:rebuild_stats",
    "costs": "ops.boxes.costs:costs",
    "voucher": "ops.boxes.voucher:voucher",
    "set-aside": "ops.boxes.set_aside:set_aside",
}


class Commands(click.Group):
    """The commands below, and those of _ELSEWHERE."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, _, name = _ELSEWHERE[cmd_name].partition(":")
        found: click.Command = getattr(importlib.import_module(module), name)
        return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="merchant-box")
def main() -> None:
    """A merchant's own affiliate tracking box."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        # As by Ctrl-C: half a file is cleared away, what was stopped for a while goes on, and Chalice is left at work for nobody.
        signal.signal(signal.SIGTERM, signal.default_int_handler)


OWN_CODE = str(Path(__file__).parent)
AGAIN_SECONDS = 0.02


class Ended(Exception):
    """Somebody asked the box to stop."""


@main.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The box's port; a free one where it is taken; 0: free ones for all parts.  [default: 8800]",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DATA,
    show_default=True,
    help="Where everything is kept.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="The integration config.  [default: configs/demo.json]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line when ready, and nothing else.")
@click.option("--dynamodb", metavar="URL", help="A DynamoDB you run already, instead of the embedded one.")
@click.option("--rpc", metavar="URL", help="A network node you run already, instead of the embedded one.")
@click.option(
    "--prefix", default="", metavar="/x", help="Serve the box under this part of the URL, as an API stage does."
)
def up(
    port: int | None,
    data: Path,
    config: Path | None,
    as_json: bool,
    dynamodb: str | None,
    rpc: str | None,
    prefix: str,
) -> None:
    """Run the whole box on this machine until Ctrl-C or SIGTERM.

    Example: box up --port 8800 --data .data/demo
    """
    from ops.local.stack import Options

    changed = {"config": config} if config else {}
    options = Options(data, port=port, prefix=prefix, dynamodb_url=dynamodb, rpc_url=rpc, **changed)
    with contextlib.suppress(Ended):
        _serve(options, as_json)


def _serve(options: Any, as_json: bool) -> None:
    from chalicelib.domain.config_check import Mistaken
    from ops.local.process import PartFailed
    from ops.local.stack import Stack

    ending = _end_on_signals()
    try:
        _log_to(options.data / "box.log")
        stack = Stack(options)
    except Mistaken as wrong:
        for one in wrong.mistakes:
            click.echo(f"{one.file}: {one.path}: {one.fault}\n  {one.remedy}", err=True)
        sys.exit(2)
    except (PartFailed, OSError) as error:  # OSError: the data directory cannot be written, say
        click.echo(f"The box did not start: {error}", err=True)
        sys.exit(1)
    try:
        click.echo(json.dumps(stack.line()) if as_json else _for_people(stack.line(), options.data))
        sys.stdout.flush()
        ending.is_ready = True
        stack.run_until(ending.event)
    finally:
        stack.stop()


class _Ending:
    """Before the box is ready a signal breaks the start off; afterwards it lets the box end in order.

    The start is broken off in our own code alone: an exception in the middle of somebody else's - logging around a fork, say - may be
    swallowed there, or leave a lock held for good.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self.is_ready = False
        self._broken_off = False

    def __call__(self, _: int, frame: FrameType | None) -> None:
        self.event.set()
        if self.is_ready or self._broken_off:
            return
        if frame is None or not frame.f_code.co_filename.startswith(OWN_CODE):
            signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
            return
        self._broken_off = True
        raise Ended


def _end_on_signals() -> _Ending:
    ending = _Ending()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, ending)
    return ending


def _log_to(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    form = "%(asctime)s %(levelname)s %(name)s %(message)s"
    logging.basicConfig(filename=file, level=logging.INFO, format=form, force=True)
    for noisy in ("botocore", "urllib3", "web3", "pynamodb"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _for_people(line: dict[str, Any], data: Path) -> str:
    return f"""
  The box is up.

  Publisher's page   {line["publisher"]}    follow a link here, then buy something
  Shop               {line["shop"]}
  Dashboard          {line["dashboard"]}
                     log in with {line["keys"]["server"]}
  The box            {line["box"]}
  Network            {line["rpc"]}    chain {line["chainId"]}, contract {line["contract"]}
  Kept in            {data}    (log: {data / "box.log"})
  Operate it         . {data / "environment"} && .venv/bin/box keys list {line["merchant"]}

  Ctrl-C ends all of it."""


@main.command()
@click.option("--once", is_flag=True, help="Drive the story through a fresh box and end.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: the steps, or as `box up` does.")
def demo(once: bool, as_json: bool) -> None:
    """Run the demo; with --once prove the whole story through the public interfaces, step by step.

    Example: box demo --once
    """
    from ops.local.stack import Options

    if not once:
        with contextlib.suppress(Ended):
            _serve(Options(DEFAULT_DATA), as_json)
        return
    from ops.story import tell

    with tempfile.TemporaryDirectory(prefix="merchant-box-") as data:
        sys.exit(0 if tell(Path(data), as_json=as_json) else 1)


if __name__ == "__main__":
    main()
