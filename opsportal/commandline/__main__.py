"""`python -m opsportal.commandline COMMAND …`"""

import sys

import typer

from opsportal.commandline import deciding, files, looking, running, signing_in
from opsportal.commandline.exits import Exit
from opsportal.commandline.paper import Paper

INTERRUPTED = 130  # what Typer makes of Ctrl-C
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
    files.files,
    files.upload,
    files.download,
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
    except typer.Abort:
        paper.say("Nothing was done.")
        return Exit.OTHER
    except SystemExit:
        # Typer's way out when nobody reads our output any more; its 1 would read as a failed run.
        return Exit.OTHER
    if ended == INTERRUPTED:
        paper.say("Interrupted. What was submitted goes on; `runs` lists it.")
        return Exit.OTHER
    return int(ended or 0)


if __name__ == "__main__":
    sys.exit(main())
