"""The emulated cmdlets that choose, order and lay out what others hand on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from opsportal.simulated_windows.cmdlet import Cmdlet, Named, Run
from opsportal.simulated_windows.command_line import NotEmulated
from opsportal.simulated_windows.powershell_operators import is_true
from opsportal.simulated_windows.things import Thing, as_json, lines_of, text_of


def select_object(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    found = passed[: int(named.get("First", len(passed)))]
    if "ExpandProperty" in named:
        return [_field(item, str(named["ExpandProperty"])) for item in found]
    wanted = named.get("Property")
    if wanted is None:
        return found
    names = [str(name) for name in (wanted if isinstance(wanted, list) else [wanted])]
    return [Thing("Selected", {name: _field(item, name) for name in names}) for item in found]


def _field(item: Any, name: str) -> Any:
    fields = item.fields if isinstance(item, Thing) else {}
    return next((value for key, value in fields.items() if key.lower() == name.lower()), None)


def convert_to_json(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    return [as_json(passed, compress=bool(named.get("Compress")))]


def out_string(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    return ["".join(line + "\r\n" for line in lines_of(passed))]


def out_null(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    return []


def where_object(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    check = _block(run, named, "FilterScript")
    return [item for item in passed if is_true(check(item))]


def foreach_object(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    work = _block(run, named, "Process")
    return [value for item in passed for value in work(item)]


def _block(run: Run, named: Named, name: str) -> Callable[[Any], list[Any]]:
    block = named.get(name)
    if not callable(block):
        raise NotEmulated(run.text)
    found: Callable[[Any], list[Any]] = block
    return found


def sort_object(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    wanted = named.get("Property")
    names = [] if callable(wanted) else _names(named)

    def key(item: Any) -> tuple[Any, ...]:
        if callable(wanted):
            return tuple(map(_rank, wanted(item)))
        return tuple(_rank(_field(item, name)) for name in names) if names else (_rank(item),)

    found = sorted(passed, key=key, reverse=bool(named.get("Descending")))
    if named.get("Unique"):
        kept = {key(item): item for item in reversed(found)}
        found = [item for item in found if kept.get(key(item)) is item]
    return found


def _rank(value: Any) -> tuple[int, Any]:
    if isinstance(value, datetime):
        return 1, value.timestamp()
    if isinstance(value, int | float):
        return 1, value
    return (0, "") if value is None else (2, text_of(value).lower())


def measure_object(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    return [Thing("Microsoft.PowerShell.Commands.GenericMeasureInfo", {"Count": len(passed)})]


def format_list(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    lines: list[Any] = [""]
    for item in passed:
        names = _names(named) or list(item.fields if isinstance(item, Thing) else ())
        width = max(map(len, names), default=0)
        lines += [f"{name.ljust(width)} : {text_of(_field(item, name))}" for name in names]
        lines.append("")
    return lines


def format_table(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    names = _names(named)
    if not names:
        return list(lines_of(passed))
    return list(lines_of([Thing("Table", {name: _field(item, name) for name in names}) for item in passed]))


def _names(named: Named) -> list[str]:
    wanted = named.get("Property")
    return (
        [] if wanted is None else [str(name) for name in (wanted if isinstance(wanted, list) else [wanted])]
    )


OBJECT_CMDLETS: dict[str, Cmdlet] = {
    "convertto-json": Cmdlet(convert_to_json, ("Depth",), ("Compress",)),
    "foreach-object": Cmdlet(foreach_object, ("Process",)),
    "format-list": Cmdlet(format_list, ("Property",)),
    "format-table": Cmdlet(format_table, ("Property",), ("AutoSize", "Wrap")),
    "measure-object": Cmdlet(measure_object),
    "out-null": Cmdlet(out_null),
    "out-string": Cmdlet(out_string, ("Width",)),
    "select-object": Cmdlet(select_object, ("Property", "ExpandProperty", "First")),
    "sort-object": Cmdlet(sort_object, ("Property",), ("Descending", "Unique")),
    "where-object": Cmdlet(where_object, ("FilterScript",)),
}
