"""A definition as YAML text, with scripts as blocks of lines, as people write them."""

from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Scripts as blocks of lines."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def as_yaml(definition: dict[str, Any]) -> str:
    """The text that `load_workflow` reads as this definition."""
    return yaml.dump(definition, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
