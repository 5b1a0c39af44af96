"""The classes of a data set: names in the order of the columns, and which of them exclude each other.

They come from ``class_mapping.json`` in the folder of the annotation file, else from its ``categories``, else they are
the 14 thermal classes. See docs/thermal_data.md.
"""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import UserError
from . import entries
from .entries import EntryError
from .json_files import read_json
from .labels import THERMAL_CLASSES
from .text import open_text

logger = logging.getLogger(__name__)

# More are an error of the file: an id such as 10**8 must not set the size of an array.
MAX_CLASSES = 10_000
MAPPING_FILE = "class_mapping.json"


@dataclass(frozen=True)
class ClassList:
    """Classes of the label columns.

    Attributes:
        names: column n is class ``names[n]``; each name occurs once.
        exclusive: per class, True where a person has one of these (a pose), False where a person has any number.
    """

    names: tuple[str, ...]
    exclusive: tuple[bool, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.exclusive):
            raise ValueError(f"{len(self.names)} names and {len(self.exclusive)} flags, expected a flag for each name")
        if len(set(self.names)) < len(self.names):
            name = next(name for n, name in enumerate(self.names) if name in self.names[:n])
            raise UserError(f"Two classes have the name {entries.short(name)}, expected another for each; rename one.")

    def __len__(self) -> int:
        """Number of classes."""
        return len(self.names)

    @property
    def exclusive_columns(self) -> list[int]:
        """Columns of which each person has one; none where only one class is exclusive, since there is no choice."""
        columns = [column for column, flag in enumerate(self.exclusive) if flag]
        return columns if len(columns) > 1 else []

    @property
    def independent_columns(self) -> list[int]:
        """All other columns."""
        exclusive = set(self.exclusive_columns)
        return [column for column in range(len(self)) if column not in exclusive]

    @property
    def independent(self) -> list[str]:
        """Names of the classes that are not exclusive."""
        return [name for name, flag in zip(self.names, self.exclusive, strict=True) if not flag]

    def nearest(self, name: str) -> str:
        """The class whose name is most like ``name``, for messages."""
        close = difflib.get_close_matches(name, self.names, 1, cutoff=0.0)
        return close[0] if close else ""


def exclusive_classes(names: Iterable[str]) -> ClassList:
    """A list of classes of which each person has one."""
    names = tuple(names)
    return ClassList(names, (True,) * len(names))


THERMAL = exclusive_classes(THERMAL_CLASSES)


def classes_of(ann_file: str, categories: Sequence[object]) -> tuple[ClassList, dict[int, int]]:
    """The classes of an annotation file, and class id -> column: ids in ascending order are columns 0, 1, ...

    Args:
        ann_file: annotation file; ``class_mapping.json`` is read from the same folder.
        categories: its "categories"; an entry may have ``"exclusive": false``.

    Raises:
        UserError: a mapping or categories of another form, ids or names that occur twice, too many classes.
    """
    mapping = os.path.join(os.path.dirname(ann_file), MAPPING_FILE)
    if os.path.exists(mapping):
        return _with_categories(mapping, *read_mapping(mapping), ann_file, categories)
    if categories:
        return from_categories(ann_file, categories)
    return THERMAL, {number: number for number in range(len(THERMAL))}


def category_names(path: str, categories: Iterable[object]) -> dict[int, str]:
    """Class id -> name of ``{"id", "name"}`` entries.

    Raises:
        UserError: entries of another form; an id or a name that occurs twice.
    """
    names: dict[int, str] = {}
    seen: set[str] = set()
    for entry in categories:
        try:
            number, name = entries.whole(entry, "id"), entries.name(entry, "name")
        except EntryError as error:
            raise entries.in_file(path, "a category", error) from None
        if number in names or name in seen:
            raise UserError(
                f"In {path}, two categories have the id {number} or the name {entries.short(name)}, expected each "
                "once; correct them."
            )
        names[number] = name
        seen.add(name)
    return names


def from_categories(source: str, categories: Iterable[object]) -> tuple[ClassList, dict[int, int]]:
    """Classes of the entries ``{"id", "name", "exclusive"}`` of a list "categories", and class id -> column.

    Raises:
        UserError: see :func:`classes_of`.
    """
    categories = list(categories)
    names = category_names(source, categories)
    flags = stated_flags(source, categories)
    return _in_order(source, names, {number: flags.get(number, True) for number in names})


def stated_flags(source: str, categories: Iterable[object]) -> dict[int, bool]:
    """Class id -> "exclusive" of the categories that state it.

    Raises:
        UserError: a value other than true and false.
    """
    flags: dict[int, bool] = {}
    for entry in categories:
        if isinstance(entry, dict) and entry.get("exclusive") is not None:
            flag = entry["exclusive"]
            if not isinstance(flag, bool):
                error = EntryError(f"has 'exclusive' {entries.short(flag)}, expected true or false")
                raise entries.in_file(source, "a category", error)
            flags[entries.whole(entry, "id")] = flag
    return flags


def read_mapping(path: str) -> tuple[ClassList, dict[int, int], bool]:
    """Classes of a file ``{"class_to_id": {name: id}, "independent": [name, ...]}``.

    Returns:
        the classes, class id -> column, and whether the file has "independent".

    Raises:
        UserError: not such a file, ids or names that occur twice, an independent class that it does not name.
    """
    mapping = read_json(path, "class mapping")
    ids = mapping.get("class_to_id") if isinstance(mapping, dict) else None
    if not isinstance(ids, dict) or not ids:
        raise UserError(
            f"The class mapping {path} has no 'class_to_id', expected {{name: id}} there; write it again or remove "
            "the file."
        )
    names = category_names(path, [{"name": name, "id": number} for name, number in ids.items()])
    independent = mapping.get("independent") if isinstance(mapping, dict) else None
    if independent is not None and not (
        isinstance(independent, list) and all(isinstance(name, str) for name in independent)
    ):
        raise UserError(
            f"The class mapping {path} has 'independent' {entries.short(independent)}, expected a list of names of "
            "classes; correct it."
        )
    known = exclusive_classes(names.values())
    for name in independent or ():
        check_known(name, known, f"The class mapping {path} has under 'independent'")
    flags = {number: name not in (independent or ()) for number, name in names.items()}
    return *_in_order(path, names, flags), independent is not None


def read_class_file(path: str | os.PathLike) -> ClassList:
    """Classes of a class mapping (.json), or of a text file with a name in each line, all of them exclusive.

    Raises:
        UserError: see :func:`read_mapping`; a text file that cannot be read, or a name that occurs twice.
    """
    path = os.fspath(path)
    if path.lower().endswith(".json"):
        return read_mapping(path)[0]
    with open_text(path, "class list", expected="a name in each line") as file:
        names = [line.strip() for line in file if line.strip()]
    if not names:
        raise UserError(f"The class list {path} is empty, expected a name in each line; correct it.")
    return from_categories(path, [{"id": number, "name": name} for number, name in enumerate(names)])[0]


def check_known(name: str, classes: ClassList, where: str) -> None:
    """Refuse a name that is not one of the classes, naming the nearest one.

    Args:
        where: start of the sentence, which the name follows.

    Raises:
        UserError: the class does not exist.
    """
    if name in classes.names:
        return
    shown = ", ".join(map(entries.short, classes.names[:20])) + (", ..." if len(classes) > 20 else "")
    raise UserError(
        f"{where} the class {entries.short(name)}, expected one of {shown[:200]}; did you mean "
        f"{entries.short(classes.nearest(name))}?"
    )


def class_count_error(columns: int, ann_file: str, count: int) -> UserError:
    """The error of a head with another number of columns than the set has classes."""
    return UserError(
        f"MODEL.ROI_ACTION_HEAD.NUM_CLASSES is {columns}, but {ann_file} has {count} classes; set it to 0 to take as "
        f"many as there are, or to {count} with the three NUM_*_CLASSES that add up to it."
    )


def class_documents(classes: ClassList) -> tuple[list[dict[str, object]], dict[str, object]]:
    """The lists that :func:`classes_of` reads: "categories", and the content of class_mapping.json."""
    categories: list[dict[str, object]] = []
    for number, (name, flag) in enumerate(zip(classes.names, classes.exclusive, strict=True)):
        categories.append({"id": number, "name": name} if flag else {"id": number, "name": name, "exclusive": False})
    mapping: dict[str, object] = {
        "classes": list(classes.names),
        "class_to_id": {name: number for number, name in enumerate(classes.names)},
    }
    if classes.independent:
        mapping["independent"] = classes.independent
    return categories, mapping


def _in_order(source: str, names: Mapping[int, str], flags: Mapping[int, bool]) -> tuple[ClassList, dict[int, int]]:
    if len(names) > MAX_CLASSES:
        raise UserError(f"{source} has {len(names)} classes, expected at most {MAX_CLASSES}; correct it.")
    ids = sorted(names)
    classes = ClassList(tuple(names[number] for number in ids), tuple(flags[number] for number in ids))
    return classes, {number: column for column, number in enumerate(ids)}


def _with_categories(
    mapping: str,
    classes: ClassList,
    columns: dict[int, int],
    states_independent: bool,
    ann_file: str,
    categories: Sequence[object],
) -> tuple[ClassList, dict[int, int]]:
    """The classes of the mapping. Flags of the categories fill in where it states none; otherwise both must agree."""
    if not categories:
        return classes, columns
    others = category_names(ann_file, categories)
    different = [number for number in others if number in columns and classes.names[columns[number]] != others[number]]
    if different:
        number = different[0]
        logger.warning(
            "%s calls the class %d %s, %s %s; the names of %s are used",
            mapping,
            number,
            entries.short(classes.names[columns[number]]),
            ann_file,
            entries.short(others[number]),
            MAPPING_FILE,
        )
    flags = {columns[number]: flag for number, flag in stated_flags(ann_file, categories).items() if number in columns}
    if not states_independent:
        return ClassList(classes.names, tuple(flags.get(n, True) for n in range(len(classes)))), columns
    for column, flag in flags.items():
        if flag != classes.exclusive[column]:
            raise UserError(
                f"The class {entries.short(classes.names[column])} is {'exclusive' if flag else 'independent'} in "
                f"{ann_file} and {'independent' if flag else 'exclusive'} in {mapping}, expected the same in both; "
                "correct one."
            )
    return classes, columns
