#!/usr/bin/env python3
"""Django's command line, with OpsPortal's settings. `--data DIR`, with any command, names its state."""

import os
import sys
from pathlib import Path

MAKES_KEYS = ("up", "migrate", "demo")  # the commands that make a new database


def take_data_directory(arguments: list[str]) -> list[str]:
    """The arguments without `--data DIR`, which goes into the environment: settings are read from there."""
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        name, equals, value = argument.partition("=")
        if argument == "--":
            rest += [argument, *remaining]
        elif name != "--data":
            rest.append(argument)
        elif directory := value if equals else next(remaining, ""):
            os.environ["OPSPORTAL_DATA"] = os.path.abspath(directory)  # noqa: PTH100  for the children as well
        else:
            sys.exit("--data needs a directory.")
    return rest


def main() -> None:
    """Run one command; settings that cannot be used are told in a sentence, without a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opsportal.settings")
    before = os.environ.pop("OPSPORTAL_DATA", None)
    arguments = [sys.argv[0], *take_data_directory(sys.argv[1:])]
    named = os.environ.get("OPSPORTAL_DATA")
    if before is not None:
        os.environ.setdefault("OPSPORTAL_DATA", before)

    from django import setup
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from opsportal.data_directory import data_directory, keys_for_restore, prepare
    from opsportal.demo.state import fresh_state

    try:
        if arguments[1:2] == ["demo"] and not {"-h", "--help"} & set(arguments):
            # Before any setting is read; and only a folder named right here counts, no installation's.
            fresh_state(Path(named or Path(__file__).parent / "var" / "demo"), os.environ)
        if arguments[1:2] and arguments[1] in MAKES_KEYS:
            prepare(data_directory(os.environ), os.environ)
        if arguments[1:2] == ["restore"] and not {"-h", "--help"} & set(arguments):
            os.environ.update(keys_for_restore(arguments, data_directory(os.environ)))
        setup()
    except ImproperlyConfigured as error:
        sys.exit(f"OpsPortal cannot start. {error}")
    if arguments[1:2] and arguments[1] in settings.PARTS.without:
        sys.exit(f"OPSPORTAL_ROLE={settings.ROLE} has no `{arguments[1]}`: nothing for it is kept here.")
    execute_from_command_line(arguments)


if __name__ == "__main__":
    main()
