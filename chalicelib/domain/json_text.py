"""JSON that a person wrote: where it breaks, in lines and columns, and which keys stand in it twice - of which a parser silently
takes the last."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple


class Written(NamedTuple):
    document: Any
    repeated: tuple[str, ...]
    """Paths of keys that stand more than once in one object, such as `$.site.hosts`."""


class NotJson(ValueError):
    """The text cannot be read. `fault` says what and where, `remedy` what to do about it."""

    def __init__(self, fault: str, remedy: str) -> None:
        super().__init__(f"{fault}. {remedy}")
        self.fault, self.remedy = fault, remedy


def read(text: bytes) -> Written:
    """Raises NotJson."""
    twice: dict[int, list[str]] = {}

    def noted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            twice[id(made)] = [name for name in made if names.count(name) > 1]
        return made

    try:
        document = json.loads(text.decode("utf-8-sig"), object_pairs_hook=noted, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise _broken(error) from None
    except UnicodeDecodeError:
        raise NotJson("not JSON: these bytes are no text in UTF-8", "Save it as UTF-8, or name another file") from None
    except RecursionError:
        raise NotJson("not JSON that anybody wrote: it nests too deeply", "Name another file") from None
    except NotJson:
        raise
    except ValueError:
        raise NotJson(
            "not JSON that anybody wrote: a number in it has thousands of digits", "Name another file"
        ) from None
    return Written(document, tuple(_paths(document, twice, "$")) if twice else ())


def _no_number(name: str) -> Any:
    raise NotJson(f"not JSON: {name} is no number there", "Write digits")


def _broken(error: json.JSONDecodeError) -> NotJson:
    if not error.doc.strip():
        return NotJson("not JSON: the file is empty", "Name another file")
    where = f"line {error.lineno}, column {error.colno}"
    if error.pos >= len(error.doc.rstrip()):
        return NotJson(f"not JSON: it breaks off at {where}", "Add what is missing at its end, a closing brace say")
    told = error.msg[:1].lower() + error.msg[1:]
    return NotJson(f"not JSON: {told} at {where}", "Look there for a comma, a quote or a brace too many or missing")


def _paths(value: Any, twice: dict[int, list[str]], path: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{path}.{name}" for name in twice.get(id(value), ()))
        for name, inner in value.items():
            yield from _paths(inner, twice, f"{path}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _paths(inner, twice, f"{path}[{number}]")
