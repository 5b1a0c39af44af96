"""Which actions a box has: its label, its attributes, or both.

A label is an action unless it only says that there is a person. A select, radio or drop-down attribute gives its value,
a checkbox its name. With a list of classes, only names of that list are actions.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from .. import entries
from ..labels import PERSON_NAMES
from ..text import composed, is_number
from .pictures import Attribute, LabelOptions, Reading

# Attributes that tools write by themselves, and values that say nothing.
_TOOL_ATTRIBUTES = ("occluded", "rotation", "track_id", "keyframe", "outside", "truncated", "difficult", "group_id")
_NO_VALUE = ("", "__undefined__", "undefined", "null", "none")
# Values of an attribute that is true or not, as a checkbox; "true" gives the attribute's name.
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}
_MULTIPLE_KINDS = ("checkbox", "multiple")
# An attribute of unknown kind is a free text where it has at least so many values, and most boxes one of their own.
_LEAST_VALUES = 5
_FREE_KINDS = ("text", "number", "textarea")


def actions_of(reading: Reading, labels: Sequence[str], attributes: Iterable[Attribute], where: str) -> tuple[str, ...]:
    """Actions of a box, each once; empty, and counted, where it has none."""
    options, found, values = reading.options, [], []
    for attribute in attributes:
        name, reason = _of_attribute(attribute, options)
        if name is not None:
            found.append(name)
            values.append((attribute, name))
        elif reason:
            reading.report.skip(reason, where)
    for label in map(_clean, labels):
        if options.classes is not None and label in options.classes:
            found.append(label)
        elif label.casefold() in PERSON_NAMES or not label:
            continue
        elif options.classes is None:
            found.append(label)
        elif not found:
            reading.report.skip(f"label {_unknown(label, options.classes)}", where)
    if not found and (not labels or any(_clean(label).casefold() in PERSON_NAMES for label in labels)):
        reading.report.skip("person without an action", where)
    _note_multiple(reading, values, found[len(values) :])
    return tuple(dict.fromkeys(found))


def _note_multiple(reading: Reading, values: list[tuple[Attribute, str]], labels: list[str]) -> None:
    """Note the attributes with actions beside others: checkboxes, several values; count values beside a label."""
    for attribute, action in values:
        reading.given.setdefault(attribute.name, Counter())[action] += 1
        if attribute.kind in _MULTIPLE_KINDS or action == _clean(attribute.name):
            reading.multiple.add(attribute.name)
        elif labels and action not in labels:
            reading.beside[attribute.name] += 1


def _of_attribute(attribute: Attribute, options: LabelOptions) -> tuple[str | None, str]:
    """The action of an attribute, or None and why an attribute that says something gives none."""
    name, value = _clean(attribute.name), attribute.value
    if name.casefold() in _TOOL_ATTRIBUTES:
        return None, ""
    listed = options.classes is not None and _clean(str(value)) in options.classes
    if isinstance(value, str) and not listed:
        word = value.strip().casefold()
        value = _TRUTH.get(word, False if attribute.kind == "checkbox" else value)
    if value is False or isinstance(value, str) and value.strip().casefold() in _NO_VALUE and not listed:
        return None, ""
    if options.action_attributes and name not in options.action_attributes:
        return None, f"attribute {entries.short(name)} that --action-attributes does not name"
    action = name if value is True else _clean(str(value))
    if options.classes is not None and action not in options.classes:
        return None, f"attribute {entries.short(name)} whose value is {_unknown(action, options.classes)}"
    free = attribute.kind in _FREE_KINDS or not attribute.kind and is_number(action)
    if options.classes is None and free and name not in options.action_attributes:
        return None, f"attribute {entries.short(name)}, a free text or number unless --action-attributes names it"
    return action, ""


def free_texts(values: Mapping[str, Counter[str]]) -> dict[str, str]:
    """Attribute -> kind "text" of those that look like names or notes rather than actions, in a file that states no
    kinds.

    Args:
        values: attribute -> its values, with how many boxes have each.
    """
    return {
        name: "text"
        for name, counts in values.items()
        if len(counts) >= _LEAST_VALUES and 2 * len(counts) > counts.total()
    }


def _unknown(name: str, classes: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, classes, 1)
    return f"{entries.short(name)}, no class" + (f" (did you mean {entries.short(close[0])}?)" if close else "")


def _clean(name: str) -> str:
    return composed(name).strip()
