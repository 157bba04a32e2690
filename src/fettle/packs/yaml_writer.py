"""Writes plain data as YAML that people edit and that `yaml_reader` reads back as the same data."""

from typing import Any

import yaml

from fettle.packs.yaml_reader import is_read_as_text

_LINE = 100


class _Dumper(yaml.SafeDumper):
    """Writes every value out: the reader takes no anchors and aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the library's own signature
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - the library's own signature
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None if is_read_as_text(value) else "'"
    if not value.isprintable():
        # Line ends of other alphabets and control characters come back as they were only when they are escaped.
        style = "|" if value.replace("\n", "").isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def write_yaml(value: Any) -> str:
    """Return plain JSON data as YAML, keys in their own order.

    Args:
        value: Mappings, lists, texts, numbers, truth values and nulls.
    """
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_LINE))
