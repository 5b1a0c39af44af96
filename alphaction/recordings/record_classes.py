"""The classes of annotation records: those of a list, or those that the records name."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from ..annotations import entries
from ..annotations.classes import THERMAL, ClassList, check_known, from_categories
from ..errors import UserError

# Likeness of two names, one of which has less than a fifth of the persons of the other, that is taken for a slip.
_ALIKE = 0.85
_RARE = 5
# What people put between names.
_JOINTS = re.compile(r"[,;|+/&]")
# More names are not compared with one another.
_COMPARED = 200


def names_of(entry: Mapping[str, object]) -> list[str]:
    """Classes of a person of a record: "subcategory", a name or a list of names; empty where it is neither."""
    found = entry.get("subcategory")
    names = found if isinstance(found, list) else [found]
    if not all(isinstance(name, str) and name for name in names):
        return []
    return list(dict.fromkeys(map(str, names)))


def classes_of_records(
    source: str,
    annotations: Iterable[tuple[object, str]],
    given: ClassList | None = None,
    independent: Collection[str] = (),
) -> ClassList:
    """The classes of all persons of annotation records.

    Args:
        source: where the records are from, for messages.
        annotations: the entries of all records, each with its place, for messages.
        given: the classes there are; None: the 14 thermal ones where the records name no other class, else those that
            the records name, by name, exclusive but for ``independent``.
        independent: classes that a person may have beside others.

    Raises:
        UserError: a class that the list lacks, with the nearest one; two names that look like one class.
    """
    counts: Counter[str] = Counter()
    places: dict[str, str] = {}
    for entry, where in annotations:
        if isinstance(entry, dict) and entry.get("category") == "person":
            for name in names_of(entry):
                counts[name] += 1
                places.setdefault(name, where)
    if given is not None:
        for name in counts:
            check_known(name, given, f"{places[name]} names")
        return given
    if counts.keys() <= set(THERMAL.names):
        return THERMAL
    categories = [
        {"id": number, "name": name, "exclusive": name not in independent} for number, name in enumerate(sorted(counts))
    ]
    classes = from_categories(source, categories)[0]
    _check_slips(counts, places)
    _check_joined(counts, places)
    return classes


def _check_slips(counts: Counter[str], places: Mapping[str, str]) -> None:
    """Refuse a rare name that looks like a frequent one, or like a thermal class where others of these occur."""
    if len(counts) > _COMPARED:
        return
    thermal = set(THERMAL.names) if counts.keys() & set(THERMAL.names) else set()
    for name, count in counts.items():
        for other in sorted(counts.keys() | thermal - {name}):
            likely = other in thermal or counts[other] > _RARE * count
            if other != name and name not in thermal and (_folded(name) == _folded(other) or likely):
                if difflib.SequenceMatcher(None, _folded(name), _folded(other)).ratio() >= _ALIKE:
                    raise UserError(
                        f"{places[name]} names the class {entries.short(name)} ({count} x), which looks like "
                        f"{entries.short(other)} misspelled, expected different classes; correct the records, or list "
                        "the classes with --classes FILE if both are meant."
                    )


def _check_joined(counts: Mapping[str, int], places: Mapping[str, str]) -> None:
    """Refuse a name that joins others, such as "sitting,waving" for a person who does both."""
    known = {_folded(name) for name in (*counts, *THERMAL.names)}
    for name, place in places.items():
        parts = [_folded(part) for part in _JOINTS.split(name)]
        if len(parts) > 1 and known.issuperset(parts):
            raise UserError(
                f"{place} names the class {entries.short(name)} ({counts[name]} x), which joins the names of other "
                "classes, expected a list of names for a person with several; correct the records, or list the "
                "classes with --classes FILE if it is one of its own."
            )


def _folded(name: str) -> str:
    """A name without what the eye does not see: case, runs of blanks, characters of no width."""
    seen = "".join(mark for mark in name if unicodedata.category(mark) != "Cf")
    return " ".join(seen.casefold().split())
