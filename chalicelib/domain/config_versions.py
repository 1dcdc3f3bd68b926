"""Older forms of the integration config, and how each becomes the next. A file is changed by `box config migrate` alone, never silently.

Version 0 is the draft before the first release: it had no `version` key, kept the site's keys at the top and days under `agreement`.
"""

from collections.abc import Callable
from typing import Any

from chalicelib.domain.config import VERSION

Document = dict[str, Any]


class TooNew(ValueError):
    """The file was written for a later box than this one."""


def outdated(document: Document) -> int | None:
    """The file's version if it is older than today's. A file of version 0 has none of the keys that came with version 1."""
    if "version" not in document:
        return 0 if {"landingPage", "agreement"} & document.keys() else None
    version = document["version"]
    return version if isinstance(version, int) and 0 <= version < VERSION else None


def migrate(document: Document) -> Document:
    """The document in today's form; itself when it is. Raises TooNew."""
    version = outdated(document)
    if version is None:
        if isinstance(document.get("version"), int) and document["version"] > VERSION:
            raise TooNew(f"version {document['version']} is newer than this box's {VERSION}: upgrade the box first")
        return document
    return migrate(_STEPS[version](document))


def _from_0(old: Document) -> Document:
    moved = {"landingPage", "origins", "hosts", "parameters"}
    kept = {key: value for key, value in old.items() if key not in moved | {"agreement", "$schema", "version"}}
    site = {key: old[key] for key in ("landingPage", "origins", "hosts", "parameters") if key in old}
    return {
        "$schema": old.get("$schema", "./schema.json"),
        "version": 1,
        **kept,
        "site": site,
        "agreementDefaults": old.get("agreement", {}),
    }


_STEPS: dict[int, Callable[[Document], Document]] = {0: _from_0}
