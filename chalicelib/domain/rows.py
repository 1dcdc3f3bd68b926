"""Rows of a batch: JSON or CSV in, one answer a row out. A row that cannot be read is refused alone."""

import csv
import io
import re
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from chalicelib.domain.decoding import convert, decode
from chalicelib.domain.errors import Malformed, Refusal, TooLarge, Unprocessable
from chalicelib.domain.report import FLAGS, ServerBody

MAX_ROWS = 1000
MAX_CELL = 4096
T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z_.;\t ]{1,60}")


@dataclass(frozen=True)
class Columns:
    """What the first line of a CSV may name; `prefix` begins any number of further columns. `needs`, in words: what no row goes without."""

    names: frozenset[str]
    prefix: str
    needs: str

    @property
    def listed(self) -> str:
        return ", ".join([*sorted(self.names), f"{self.prefix}…"])

    @property
    def described(self) -> str:
        return f"The first line names the columns, each once, of: {self.listed}. {self.needs}"


CONVERSION_COLUMNS = Columns(
    frozenset(("orderId", "action", "value", "clickId", "eventId", "currency", "voucher", "customerStatus", "isTest")),
    "metadata.",
    "A row needs orderId and value; without an action it is a sale.",
)
VALIDATION_COLUMNS = Columns(
    frozenset(("conversionId", "orderId", "action", "status", "reason", "amount")),
    "line.",
    "A row needs conversionId or orderId; without an action the order is a sale. What follows `line.` is a commission group.",
)


class ConversionRows(Struct):
    """POST /v1/conversions/batch. Each row is read by itself, as a single call's body."""

    conversions: list[msgspec.Raw]


class ValidationRows(Struct):
    """POST /v1/validations."""

    validations: list[msgspec.Raw]


class ValidationRow(Struct, rename="camel", forbid_unknown_fields=True):
    """A correction by conversionId, or by orderId and action. `lines` gives new amounts by commission group."""

    conversion_id: Annotated[str, Meta(max_length=64)] | None = None
    order_id: Annotated[str, Meta(max_length=128)] | None = None
    action: str = "sale"
    status: str | None = None
    reason: str | None = None
    amount: str | None = None
    lines: dict[str, str] | None = None


def read_row(raw: msgspec.Raw, kind: type[T]) -> T | Refusal:
    try:
        return decode(raw, kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Malformed("body_invalid", f"{error}.")


def checked(rows: list[T]) -> list[T]:
    if not rows:
        raise Unprocessable("rows_missing", "Send at least one row.")
    if len(rows) > MAX_ROWS:
        raise TooLarge("rows_too_many", f"A call takes {MAX_ROWS} rows; send the others in another.")
    return rows


def conversion_rows(text: bytes) -> list[ServerBody | Refusal]:
    """Raises Malformed where the first line does not read."""
    return [_converted(_conversion(row), ServerBody) for row in _csv(text, CONVERSION_COLUMNS)]


def validation_rows(text: bytes) -> list[ValidationRow | Refusal]:
    """Raises Malformed where the first line does not read."""
    return [_converted(_validation(row), ValidationRow) for row in _csv(text, VALIDATION_COLUMNS)]


def _csv(text: bytes, columns: Columns) -> list[dict[str, str] | Refusal]:
    """Empty cells count as absent. Raises Malformed where the header does not read: then no row could."""
    try:
        lines = csv.reader(io.StringIO(text.decode("utf-8-sig"), newline=""), strict=True)
        header = [name.strip() for name in next(lines, [])]
        rows = list(lines)
    except (UnicodeDecodeError, csv.Error) as error:
        raise Malformed("csv_malformed", f"The CSV cannot be read: {error}. Use UTF-8, commas and quotes.") from None
    prefix = columns.prefix
    unknown = [
        name for name in header if name not in columns.names and not (name.startswith(prefix) and name != prefix)
    ]
    if unknown or not header or len(set(header)) != len(header):
        # Without a first line of its own a file has an order there, which is not repeated.
        wrong = next((f" ({name!r} is none of them)" for name in unknown if _NAME.fullmatch(name)), "")
        said = f"The first line names each column once, with commas between; the columns are {columns.listed}{wrong}."
        raise Malformed("csv_header_invalid", said)
    return [_cells(header, row) for row in rows if row]


def _cells(header: list[str], row: list[str]) -> dict[str, str] | Refusal:
    if len(row) != len(header):
        return Malformed("row_invalid", f"The row has {len(row)} cells, the first line {len(header)}.")
    if any(len(cell) > MAX_CELL for cell in row):
        return Malformed("row_invalid", f"A cell has at most {MAX_CELL} characters.")
    return {name: cell for name, cell in zip(header, row, strict=True) if cell}


def _conversion(row: dict[str, str] | Refusal) -> dict[str, Any] | Refusal:
    if isinstance(row, Refusal):
        return row
    made: dict[str, Any] = {name: cell for name, cell in row.items() if name in CONVERSION_COLUMNS.names}
    if "value" in made:
        made["values"] = [made.pop("value")]
    if "isTest" in made:
        made["isTest"] = FLAGS.get(made["isTest"].lower(), made["isTest"])
    made["metadata"] = {
        name.removeprefix("metadata."): cell for name, cell in row.items() if name.startswith("metadata.")
    }
    made.setdefault("action", "sale")
    return made


def _validation(row: dict[str, str] | Refusal) -> dict[str, Any] | Refusal:
    if isinstance(row, Refusal):
        return row
    made: dict[str, Any] = {name: cell for name, cell in row.items() if name in VALIDATION_COLUMNS.names}
    lines = {name.removeprefix("line."): cell for name, cell in row.items() if name.startswith("line.")}
    return {**made, "lines": lines} if lines else made


def _converted(row: dict[str, Any] | Refusal, kind: type[T]) -> T | Refusal:
    if isinstance(row, Refusal):
        return row
    try:
        return convert(row, kind)
    except msgspec.ValidationError as error:
        return Malformed("body_invalid", f"{error}.")
