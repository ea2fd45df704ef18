"""What a table's column holds: which cells are missing, which are numbers, what type it is.

A column is looked at through its different values and how often each stands there, so that a long
column of few values costs little, and one of a million different values not much more than itself.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from training.data.labels import MAX_LABEL
from training.data.prepare_spec import Type

if TYPE_CHECKING:
    import pyarrow as pa

#: Cells that mean that nothing is known, in lower case and without the spaces around them.
MISSING = (
    *("", "?", "-", "--", "."),
    *("na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "null", "none", "nil"),
)
#: More different values than this are no categories, unless a person says so …
FOUND_CATEGORIES = 1_000
#: … and more than this are none even then.
MOST_CATEGORIES = 100_000
#: Whole numbers with at most so many different values, each often, are codes of categories.
FEW_INTEGERS = 10
#: Share of a column's values that must be numbers for the others to be slips.
MOSTLY_NUMBERS = 0.95
#: Rows from which a running number is told from a small table's numbers.
RUNNING_ROWS = 20
#: What columns with a row's name or number are called.
ID_NAMES = ("id", "index", "uuid", "guid", "rowid", "row_id", "编号", "序号")

#: How a number is written; those with a decimal comma are looked for apart.
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
NUMBER_COMMA = r"^[+-]?(\d+,?\d*|,\d+)([eE][+-]?\d+)?$"
#: "1,234": a decimal comma, or one that sets thousands apart?
THOUSANDS = r"^[+-]?[1-9]\d{0,2}(,\d{3})+$"
#: A postal code, say, and no number.
ZERO_FIRST = r"^[+-]?0\d"
_DATE = r"^\d{4}-\d{2}-\d{2}([T ].*)?$"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Column:
    """A column as it was read.

    Attributes:
        name: Its name.
        codes: Which of ``values`` each row has, int32 [rows]; -1 where it is missing.
        values: The different values, in the order in which they appear.
        counts: How often each stands there, int64 [values].
        nested: Whether it holds lists or objects, whatever else.
        comma: Whether its numbers have a decimal comma.
    """

    name: str
    codes: npt.NDArray[np.int32]
    values: pa.StringArray
    counts: npt.NDArray[np.int64]
    nested: bool = False
    comma: bool = False

    @property
    def missing(self) -> int:
        """Rows without a value."""
        return int(len(self.codes) - self.counts.sum())

    @property
    def known(self) -> int:
        """Rows with one."""
        return int(self.counts.sum())


@dataclass(frozen=True)
class Finding:
    """What a column seems to be.

    Attributes:
        type: Its type.
        reason: Of one that is ignored, why: ``empty``, ``constant``, ``running`` (numbered rows),
            ``different`` (no two are the same), ``text``, ``dates``, ``many`` (too many
            categories), ``nested``. Else empty.
    """

    type: Type
    reason: str = ""


def tidy(cells: pa.Array) -> pa.Array:
    """Cells without what makes equal values differ, strings; null where one means "missing".

    Spaces around a value go, letters with accents are composed (NFC). A value longer than a name
    can be is cut, and ends in a hash of the whole, so that different ones stay different.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.utf8_trim_whitespace(pc.utf8_normalize(cells, form="NFC"))
    found = pc.replace_substring(found, "\0", "\ufffd")
    missing = pc.is_in(pc.utf8_lower(found), pa.array(MISSING))
    found = pc.if_else(missing, pa.scalar(None, pa.string()), found)
    long = pc.fill_null(pc.greater(pc.utf8_length(found), MAX_LABEL), False)
    if pc.any(long).as_py():
        cut = [_cut(value.as_py()) for value in found.filter(long)]
        found = pc.replace_with_mask(found, long, pa.array(cut, pa.string()))
    return found


def _cut(value: str) -> str:
    # One character longer than a name may be: that is how it is known later on.
    digest = hashlib.sha256(value.encode()).hexdigest()[:32]
    return value[: MAX_LABEL - len(digest)] + "…" + digest


def column_of(
    name: str, cells: pa.ChunkedArray, *, nested: bool = False, comma: bool = False
) -> Column:
    """A column from its cells, which are tidy.

    Args:
        name: Its name.
        cells: Its cells.
        nested: Whether it holds lists or objects, whatever else.
        comma: Whether commas may be decimal ones; whether they are is seen by the values.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = pc.dictionary_encode(cells).combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # of no chunks
        whole = pa.array([], pa.dictionary(pa.int32(), pa.string()))
    codes = np.asarray(pc.fill_null(whole.indices, -1), np.int32)
    counts = np.bincount(codes[codes >= 0], minlength=len(whole.dictionary)).astype(np.int64)
    comma = comma and _has_decimal_commas(whole.dictionary)
    return Column(name, codes, whole.dictionary, counts, nested, comma)


def _has_decimal_commas(values: pa.Array) -> bool:
    """Whether any value has a comma that can only be a decimal one.

    1,234 is read as neither 1.234 nor 1234 where no other value tells which it is.
    """
    import pyarrow.compute as pc

    commas = pc.and_(
        pc.match_substring_regex(values, NUMBER_COMMA), pc.match_substring(values, ",")
    )
    plain = pc.and_not(commas, pc.match_substring_regex(values, THOUSANDS))
    return bool(pc.any(plain).as_py())


def numbers(values: pa.Array, *, comma: bool = False) -> pa.Array:
    """Strings as float64; null where one is no number, or is not finite.

    Args:
        values: Tidy cells; null stays null.
        comma: Whether "3,14" is a number too.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    nothing = pa.scalar(None, pa.string())
    found = pc.match_substring_regex(values, NUMBER)
    text = pc.if_else(found, values, nothing)
    if comma:
        other = pc.match_substring_regex(values, NUMBER_COMMA)
        point = pc.replace_substring(values, ",", ".")
        text = pc.if_else(other, point, text)
    number = text.cast(pa.float64())
    return pc.if_else(pc.is_finite(number), number, pa.scalar(None, pa.float64()))


def number_of(value: str) -> float | None:
    """The number that a single value is, with a point or a decimal comma; None: it is none.

    What may as well set thousands apart (``1,234``) is none.
    """
    if re.match(NUMBER_COMMA, value) and not re.match(THOUSANDS, value):
        value = value.replace(",", ".")
    if not re.match(NUMBER, value):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def numbers_of(column: Column) -> Floats:
    """Of each different value its number; NaN where it is none, float64 [values]."""
    found = numbers(column.values, comma=column.comma)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.float64)


def find_type(column: Column, parsed: Floats) -> Finding:
    """The type that a column seems to have; a person may say otherwise.

    Args:
        column: The column.
        parsed: From :func:`numbers_of`.
    """
    known, distinct = column.known, len(column.values)
    if column.nested:
        return Finding("ignored", "nested")
    if not known:
        return Finding("ignored", "empty")
    if distinct == 1:
        return Finding("ignored", "constant")
    are = ~np.isnan(parsed)
    share = column.counts[are].sum() / known
    if share == 1 and not _starts_with_zero(column):
        return _of_numbers(column, parsed)
    if share >= MOSTLY_NUMBERS and are.sum() > FEW_INTEGERS and not _starts_with_zero(column):
        return Finding("number")
    return _of_strings(column)


def _of_numbers(column: Column, parsed: Floats) -> Finding:
    known, distinct = column.known, len(column.values)
    if not np.all(parsed == np.floor(parsed)):
        return Finding("number")
    if distinct <= 2 or (distinct <= FEW_INTEGERS and known >= 10 * distinct):
        return Finding("category")
    if distinct == known and not column.missing:
        running = parsed.max() - parsed.min() + 1 == distinct
        named = column.name.casefold() in ID_NAMES or column.name.casefold().endswith("_id")
        # A table saved with its index has a column without a name, or one that pandas calls so.
        nameless = column.name.startswith(("#", "Unnamed: "))
        if (running and distinct >= RUNNING_ROWS) or named or (running and nameless):
            return Finding("ignored", "running")
    return Finding("number")


def _of_strings(column: Column) -> Finding:
    import pyarrow.compute as pc

    known, distinct = column.known, len(column.values)
    if pc.max(pc.utf8_length(column.values)).as_py() > MAX_LABEL:
        return Finding("ignored", "text")
    if distinct > FEW_INTEGERS and pc.all(pc.match_substring_regex(column.values, _DATE)).as_py():
        return Finding("ignored", "dates")
    if distinct > max(20, known // 2) or (distinct == known and known > 2):
        words = float(pc.mean(pc.count_substring(column.values, " ")).as_py())
        if words >= 4:
            return Finding("ignored", "text")
        return Finding("ignored", "different" if distinct == known else "many")
    if distinct > FOUND_CATEGORIES:
        return Finding("ignored", "many")
    return Finding("category")


def _starts_with_zero(column: Column) -> bool:
    """Whether a value is written as numbers are not, such as the postal code 01067."""
    import pyarrow.compute as pc

    return bool(pc.any(pc.match_substring_regex(column.values, ZERO_FIRST)).as_py())
