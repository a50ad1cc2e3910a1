"""YAML as it is typed: 010 and 1:30 are texts, 1e-3 is a number, a key given twice is an error."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from eae_core.errors import UsageError


class _StrictLoader(yaml.SafeLoader):
    """PyYAML's safe loader with the types of YAML 1.2 in place of those of 1.1.

    In YAML 1.1 `010` is 8, `1:30` is 90, `no` is false, `2026-01-01` a date and `1e-3` a text.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (a class attribute of PyYAML)
    anchored = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse an alias inside what an alias can stand for: ten such lines hold 10^10 items."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            if self.anchored:
                problem = f"the alias *{event.anchor} stands inside an anchor"
                raise yaml.MarkedYAMLError(f"{problem}\n{event.start_mark}")
            return super().compose_node(parent, index)
        anchors = int(bool(event.anchor))
        self.anchored += anchors
        node = super().compose_node(parent, index)
        self.anchored -= anchors
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in keys:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands here twice", key_node.start_mark
                )
            keys.add(key)
        return super().construct_mapping(node, deep=deep)


for kind, pattern, first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(0|[1-9][\d_]*)", "-+0123456789"),
    ("float", r"[-+]?((0|[1-9][\d_]*)?\.\d+|(0|[1-9][\d_]*)\.?)([eE][-+]?\d+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
):
    _StrictLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{kind}", re.compile(rf"^(?:{pattern})$"), list(first)
    )


def read_yaml(path: Path) -> Any:
    """The content of a YAML file; `UsageError` names the file and the line that is wrong."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not valid YAML: {error}") from error
