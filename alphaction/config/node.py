"""A yacs tree that refuses unknown keys and wrong types in one sentence."""

from __future__ import annotations

import ast
import difflib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from yacs.config import CfgNode

from ..errors import UserError, file_problem

# Attribute of a node: the keys that merges have set.
_GIVEN = "__given__"


class ConfigNode(CfgNode):
    """``yacs.config.CfgNode`` with its own merging.

    Strings are read as Python literals where possible, so that ``(50000, 70000)`` and ``1e-7`` written in YAML are a
    tuple and a float. An int passes for a float, a list for a tuple and the other way round; nothing else is converted.
    Below a node made with ``new_allowed=True`` any key may be added.
    """

    def is_given(self, key: str) -> bool:
        """Whether a merge has set the key of this node, be it to its default. Copies remember it."""
        return key in self.__dict__.get(_GIVEN, ())

    def merge_from_file(self, cfg_filename: str | os.PathLike[str]) -> None:
        """Merge a YAML file.

        Raises:
            UserError: no such file, not YAML, a key given twice, an unknown key or a value of the wrong type.
            AttributeError: the configuration is frozen.
        """
        try:
            with open(cfg_filename, "rb") as stream:  # YAML tells its encoding by a byte order mark
                tree = yaml.load(stream, _UniqueKeyLoader)
        except OSError as error:
            raise UserError(
                f"The configuration file {cfg_filename} "
                f"{file_problem(cfg_filename) or f'cannot be read ({error.strerror})'}, expected a YAML file; name one "
                "with --config-file."
            ) from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"The configuration file {cfg_filename} is not YAML ({reason}); fix that line.") from error
        if tree is None:
            return
        if not isinstance(tree, dict):
            raise UserError(
                f"The configuration file {cfg_filename} holds a {type(tree).__name__}, "
                "expected keys with values such as 'OUTPUT_DIR: out'."
            )
        self._merge_tree(tree, "", f" in {cfg_filename}")

    def merge_from_other_cfg(self, cfg_other: Mapping[str, object]) -> None:
        """Merge another tree, with the same checks as a file."""
        self._merge_tree(cfg_other, "", "")

    def merge_from_list(self, cfg_list: Sequence[object]) -> None:
        """Merge ``[key, value, key, value, ...]`` as typed on a command line.

        Raises:
            UserError: an odd number of words, an unknown key or a value of the wrong type.
            AttributeError: the configuration is frozen.
        """
        if len(cfg_list) % 2:
            raise UserError(
                f"The settings {' '.join(map(str, cfg_list))} are {len(cfg_list)} words, "
                "expected pairs: KEY VALUE KEY VALUE ..."
            )
        for key, value in zip(cfg_list[0::2], cfg_list[1::2], strict=True):
            tree: Any = value
            for part in reversed(str(key).split(".")):
                tree = {part: tree}
            self._merge_tree(tree, "", " on the command line")

    def _merge_tree(self, tree: Mapping[Any, object], prefix: str, where: str) -> None:
        for key, value in tree.items():
            name = f"{prefix}{key}"
            if self.is_frozen():  # the error that yacs raises for an assignment
                raise AttributeError(
                    f"The key {name}{where} cannot be merged into a frozen configuration; merge before freeze(), or "
                    "into a clone() after defrost()."
                )
            if key not in self:
                if not self.is_new_allowed():
                    raise UserError(f"The key {name}{where} does not exist; {self._suggestion(str(key), prefix)}")
                self[key] = _new_value(value)
                continue
            old = self[key]
            if isinstance(old, ConfigNode):
                value = _literal(value)
                if not isinstance(value, dict):
                    raise UserError(
                        f"The key {name}{where} is a group of keys, found the value {value!r}; "
                        f"name one of {', '.join(sorted(old)) or 'its keys'}."
                    )
                old._merge_tree(value, name + ".", where)
            else:
                self[key] = _coerce(value, old, name, where)
                if not isinstance(tree, ConfigNode) or tree.is_given(key):
                    self.__dict__.setdefault(_GIVEN, set()).add(key)

    def _suggestion(self, key: str, prefix: str) -> str:
        close = difflib.get_close_matches(key.upper(), list(self), n=1, cutoff=0.6)
        if close:
            return f"did you mean {prefix}{close[0]}?"
        return f"the keys of {prefix[:-1] or 'the top level'} are {', '.join(sorted(self))}."


def get_setting(config: object, key: str) -> object:
    """Value of a dotted key in nested dicts such as a configuration; None where the key does not exist."""
    for part in key.split("."):
        config = config.get(part) if isinstance(config, Mapping) else None
    return config


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key that a mapping has twice, of which YAML would silently take the later one."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.composer.ComposerError(None, None, f"the key {key.value} is given twice", key.start_mark)
                seen.add(key.value)
        return node


def _new_value(value: object) -> object:
    value = _literal(value)
    if isinstance(value, dict):
        node = ConfigNode(new_allowed=True)
        for key, inner in value.items():
            node[str(key)] = _new_value(inner)
        return node
    return value


def _literal(value: object) -> object:
    """The Python value that a string spells, or the string itself."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return value


def _coerce(value: object, old: object, name: str, where: str) -> object:
    """``value`` in the type of ``old``.

    Raises:
        UserError: the types do not agree.
    """
    if isinstance(old, str):
        if isinstance(value, str):
            return value
    else:
        value = _literal(value)
    if type(value) is type(old):
        return value
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(old, (tuple, list)) and isinstance(value, (tuple, list)):
        return type(old)(value)
    if name == "TEST.EXTEND_SCALE" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return (float(value), float(value))
    expected = {
        "str": "a word",
        "int": "a whole number",
        "float": "a number",
        "bool": "True or False",
        "tuple": "a tuple such as (1, 2)",
        "list": "a list such as [1, 2]",
    }.get(type(old).__name__, f"a {type(old).__name__}")
    raise UserError(
        f"The key {name}{where} is {value!r} ({type(value).__name__}), expected {expected} like its default {old!r}."
    )
