"""Reading JSON into types, from any thread.

msgspec puts what it knows of a type together when that is first read, and without a lock: another thread that reads the same type
meanwhile finds it half made and takes the process down with it (seen with 0.22.0). So that is done under one lock, once for each type.
"""

import threading
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_making = threading.Lock()


def decode(text: bytes | str, kind: type[T]) -> T:
    """Raises msgspec.ValidationError, and msgspec.DecodeError for what is not JSON."""
    decoded: T = _decoder(kind).decode(text)
    return decoded


def convert(value: Any, kind: type[T]) -> T:
    """What was read as plain lists and dicts. Raises msgspec.ValidationError."""
    _decoder(kind)
    return msgspec.convert(value, kind)


def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    found = _decoders.get(kind)
    if found is None:
        with _making:
            found = _decoders[kind] = msgspec.json.Decoder(kind)
    return found
