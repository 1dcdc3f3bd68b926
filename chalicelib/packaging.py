"""Stops `chalice package` and `chalice deploy` before they carry a mistake to AWS. In Lambda nothing of this runs."""

import sys

from chalicelib.settings import settings


def refuse_mistakes() -> None:
    """Ends the Chalice command with file, JSON path, fault and remedy when a config or the stage could not work."""
    if "chalice.cli" not in sys.modules or not {"package", "deploy"} & set(sys.argv):
        return
    if mistakes := found():
        for mistake in mistakes:
            print(mistake, file=sys.stderr)
        raise SystemExit(2)


def found() -> list[str]:
    """Every mistake in the configs (a bundle carries all of them) and in the stage's environment."""
    from chalicelib.adapters import time_zones
    from chalicelib.domain.config_check import check

    held = settings()
    folder = held.config_file.parent
    mistakes: list[str] = []
    for file in sorted(folder.glob("*.json")):
        if file.name != "schema.json":
            _, wrong = check(file.read_bytes(), f"{folder.name}/{file.name}", file.stem, time_zones.known())
            mistakes += [str(one) for one in wrong]
    stage = f".chalice/config.json: $.stages.{held.merchant}.environment_variables"
    if not held.config_file.exists():
        mistakes.append(
            f"{stage}.MERCHANT: there is no {folder.name}/{held.config_file.name}. Run `box new {held.merchant}`"
        )
    if f":table/{held.table_prefix}-conversions/stream/" not in held.conversions_stream:
        mistakes.append(
            f"{stage}.CONVERSIONS_STREAM_ARN: '{held.conversions_stream}' is not the stream of this box's conversions. "
            f"Run `box provision {held.merchant}`, which makes the table and writes its stream here"
        )
    return mistakes
