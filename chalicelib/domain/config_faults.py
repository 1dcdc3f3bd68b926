"""Why a document is not of the model's form: every fault with its JSON path and its remedy, in words rather than as a type's name.

msgspec stops at the first. So this goes through the model's structs, lists and objects itself and has msgspec judge each value alone.
"""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import fields

from chalicelib.domain.decoding import convert

ALIKE = 0.75
"""How much of two keys must agree before one is taken for the other mistyped: `lokDays` does, `rpc` is like none."""
LISTED = "configs/schema.json says what it takes"


class Fault(NamedTuple):
    path: str
    """The object to look at."""
    fault: str
    remedy: str
    culprit: str
    """The path of the key or value itself."""


def faults(value: Any, kind: Any, path: str = "$") -> Iterator[Fault]:
    """None when `value`, as JSON gives it, can be read as a `kind`."""
    bare = _bare(kind)
    found = [fault for inner in _inside(value, bare, path) for fault in faults(*inner)]
    if isinstance(value, Mapping) and _is_struct(bare):
        found += _struct_keys(value, bare, path)
    elif isinstance(value, Mapping) and get_origin(bare) is dict:
        found += _dict_keys(value, get_args(bare)[0], path)
    if not found and (said := _refused(value, kind)):
        found = [Fault(path, said, f"Found {_shown(value)}; {LISTED}", path)]
    yield from found


def repetitions(paths: Sequence[str]) -> Iterator[Fault]:
    """Of keys that stand twice in one object: only the last would count, whichever the author meant."""
    for path in paths:
        name = path.rpartition(".")[2]
        yield Fault(path, f"the key '{name}' stands here more than once", "Keep one of them", path)


def _bare(kind: Any) -> Any:
    """Without its description, and without the None that it may be instead."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return _bare(next(one for one in get_args(kind) if one is not NoneType))
    return kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _inside(value: Any, bare: Any, path: str) -> Iterator[tuple[Any, Any, str]]:
    """What `value` holds, each with the kind it should be and its path."""
    if isinstance(value, Mapping) and _is_struct(bare):
        for field in fields(bare):
            if field.encode_name in value:
                yield value[field.encode_name], field.type, f"{path}.{field.encode_name}"
    elif isinstance(value, Mapping) and get_origin(bare) is dict:
        for name, inner in value.items():
            yield inner, get_args(bare)[1], f"{path}.{name}"
    elif isinstance(value, list) and get_origin(bare) is tuple:
        for number, inner in enumerate(value):
            yield inner, get_args(bare)[0], f"{path}[{number}]"


def _struct_keys(value: Mapping[str, Any], kind: type[Struct], path: str) -> Iterator[Fault]:
    known = {field.encode_name: field for field in fields(kind)}
    for name in value:
        if name not in known:
            yield Fault(path, f"there is no key '{name}' here", _nearest(name, known), f"{path}.{name}")
    for name, field in known.items():
        if field.required and name not in value:
            yield Fault(path, f"the key '{name}' is missing", f"Add it; {LISTED}", f"{path}.{name}")


def _dict_keys(value: Mapping[str, Any], kind: Any, path: str) -> Iterator[Fault]:
    for name in value:
        if said := _refused(name, kind):
            yield Fault(path, f"the key '{name}' cannot be: {said}", LISTED[:1].upper() + LISTED[1:], f"{path}.{name}")


def _nearest(key: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=ALIKE)
    return f"Did you mean '{close[0]}'?" if close else "Remove it; configs/schema.json lists the keys"


def _refused(value: Any, kind: Any) -> str | None:
    """What is wrong with one value; None for nothing."""
    try:
        convert(value, kind)
    except msgspec.ValidationError as error:
        if meant := _meant(kind):
            return f"this is not {meant}"
        told = str(error).partition(" - at ")[0]
        return told[:1].lower() + told[1:]
    return None


def _meant(kind: Any) -> str | None:
    """What a value should be, as the model itself describes it."""
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    if get_origin(kind) is Annotated:
        return next((part.description for part in get_args(kind) if isinstance(part, Meta)), None)
    if get_origin(kind) in (Union, UnionType):
        return _meant(next(one for one in get_args(kind) if one is not NoneType))
    return None


def _shown(value: Any) -> str:
    """Of an object or a list only that it is one: what it holds may be no one's business."""
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list) else json.dumps(value, ensure_ascii=False)[:60]
