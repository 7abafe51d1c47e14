"""A command typed for some targets, as the workflow of one step that it is."""

from automation.definitions.schema import Effect, Shell, Workflow, read_workflow

NAME = "command"
MAX_SUMMARY = 200


def command_workflow(
    command: str, *, effect: Effect, shell: Shell = "bash", become: bool = False, timeout: str = "10m"
) -> Workflow:
    """The workflow that runs `command`; `effect` is what the person says it does, `timeout` like `10m`.

    Raises DefinitionError for an empty or too long command, or a wrong duration.
    """
    lines = command.strip().splitlines() or [""]
    summary = lines[0][:MAX_SUMMARY] + ("…" if len(lines) > 1 or len(lines[0]) > MAX_SUMMARY else "")
    step = {"name": NAME, "effect": effect, "become": become, "timeout": timeout, "run": {shell: command}}
    definition = {"name": NAME, "summary": "".join(filter(str.isprintable, summary)), "steps": [step]}
    return read_workflow(definition, origin="command")
