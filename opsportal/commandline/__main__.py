"""`python -m opsportal.commandline COMMAND …`"""

import os
import sys

import typer

from opsportal.commandline import deciding, looking, running, signing_in
from opsportal.commandline.exits import Exit
from opsportal.commandline.paper import Paper

COMMANDS = (
    signing_in.login,
    looking.targets,
    looking.workflows,
    running.ask,
    running.run,
    running.command,
    looking.runs,
    looking.show,
    running.watch,
    looking.logs,
    deciding.approve,
    deciding.reject,
    deciding.start,
    deciding.cancel,
    deciding.pause,
    deciding.resume,
    running.rerun,
)


def application() -> typer.Typer:
    """Every command, with its help."""
    app = typer.Typer(
        help="Look at an OpsPortal, run things with it and follow them.",
        no_args_is_help=True,
        add_completion=False,
        # A traceback with local variables would show tokens and parameters.
        pretty_exceptions_enable=False,
    )
    for made in COMMANDS:
        app.command()(made)
    return app


def main(arguments: list[str] | None = None) -> int:
    """Run one command, and give its exit code. Wrong usage is Exit.REFUSED, never a run's result."""
    paper = Paper(as_json="--json" in (sys.argv[1:] if arguments is None else arguments))
    try:
        ended = application()(args=arguments, prog_name="opsportal", standalone_mode=False)
    except typer.TyperException as error:
        command = getattr(getattr(error, "ctx", None), "command_path", "opsportal")
        paper.error(error.format_message(), f"See: {command} --help", code="usage")
        return Exit.REFUSED
    except (typer.Abort, KeyboardInterrupt):
        paper.say("Interrupted. What was submitted goes on; `runs` lists it.")
        return Exit.OTHER
    except BrokenPipeError:
        # Who read our output has gone; what is left of it must not fail at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OTHER
    interrupted = 130
    if ended == interrupted:
        paper.say("Interrupted. What was submitted goes on; `runs` lists it.")
        return Exit.OTHER
    return int(ended or 0)


if __name__ == "__main__":
    sys.exit(main())
