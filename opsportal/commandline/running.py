"""Commands that make runs and follow them; their exit code is the run's result."""

from typing import Annotated

import typer

from aiworkflows.client_types import Proposal, Run
from opsportal.commandline.asking import again, read_parameters
from opsportal.commandline.exits import Exit
from opsportal.commandline.following import follow, summary
from opsportal.commandline.options import (
    AsJson,
    Hold,
    Maintenance,
    NoWait,
    ParameterFile,
    Parameters,
    Reason,
    RunNumber,
    Timeout,
)
from opsportal.commandline.paper import Paper, style_of
from opsportal.commandline.session import Session, session
from opsportal.commandline.workflow_file import read_workflow

Query = Annotated[str | None, typer.Option("--targets", "-t", help="A target query, as 'group:web'.")]


def ask(  # the options of a command line
    request: Annotated[str, typer.Argument(help="What should be done, in a sentence.")],
    *,
    parameter: Parameters = [],  # noqa: B006  # read only
    targets: Query = None,
    submit: Annotated[bool, typer.Option("--submit", help="If it is ready, run it.")] = False,
    hold: Hold = False,
    reason: Reason = "",
    no_wait: NoWait = False,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Turn a sentence into a proposal; with --submit, into a run. -p and -t answer its questions."""
    with session(as_json=as_json) as here:
        given = read_parameters(parameter, None)
        proposal = here.client.propose(request)
        if proposal.status in {"ready", "needs_answer"} and (given or targets):
            proposal = here.client.answer(proposal.id, parameters=given or None, targets=targets)
        if not (submit and proposal.status == "ready"):
            _tell_proposal(here.paper, proposal)
            raise typer.Exit(Exit.OTHER if submit or proposal.status == "refused" else Exit.SUCCEEDED)
        if not as_json:
            _tell_proposal(here.paper, proposal)
        _see(here, here.client.submit_proposal(proposal.id, hold=hold, reason=reason), no_wait, timeout)


def run(  # the options of a command line
    workflow: Annotated[str, typer.Argument(help="A workflow's name, or a .yaml file with one.")],
    *,
    targets: Query = None,
    parameter: Parameters = [],  # noqa: B006  # read only
    parameters: ParameterFile = None,
    version: Annotated[int | None, typer.Option(help="Not the newest, this one.", min=1)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Find out what would change.")] = False,
    include_maintenance: Maintenance = False,
    hold: Hold = False,
    reason: Reason = "",
    no_wait: NoWait = False,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Run a workflow and follow it. Exit code: 0 succeeded, 1 failed, 2 partial, 3 anything else."""
    with session(as_json=as_json) as here:
        wanted = read_workflow(workflow)
        given = read_parameters(parameter, parameters) or None
        with wanted.placed():
            made = here.client.submit(
                wanted.content,
                targets=targets,
                parameters=given,
                version=version,
                dry_run=dry_run,
                include_maintenance=include_maintenance,
                hold=hold,
                reason=reason,
            )
        _see(here, made, no_wait, timeout)


def command(  # the options of a command line
    text: Annotated[str, typer.Argument(metavar="COMMAND", help="For the shell of each target.")],
    *,
    targets: Annotated[str, typer.Option("--targets", "-t", help="A target query, as 'group:web'.")],
    effect: Annotated[str, typer.Option(help="What it does: read, change or destructive.")],
    shell: Annotated[str, typer.Option(help="bash or powershell.")] = "bash",
    become: Annotated[bool, typer.Option("--become", help="As root, by sudo.")] = False,
    include_maintenance: Maintenance = False,
    hold: Hold = False,
    reason: Reason = "",
    no_wait: NoWait = False,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Run a command on the targets of a query: a run like any other, planned, decided on, told."""
    with session(as_json=as_json) as here:
        made = here.client.submit_command(
            text,
            targets=targets,
            effect=effect,
            shell=shell,
            become=become,
            include_maintenance=include_maintenance,
            hold=hold,
            reason=reason,
        )
        _see(here, made, no_wait, timeout)


def rerun(  # the options of a command line
    run: RunNumber,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="Only where it is not good.")] = False,
    from_step: Annotated[
        str | None, typer.Option("--from-step", help="Leave out the steps before it.")
    ] = None,
    parameter: Parameters = [],  # noqa: B006  # read only
    parameters: ParameterFile = None,
    reason: Reason = "",
    no_wait: NoWait = False,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Run what a finished run did once more: a new plan of the same, decided on anew.

    Its secret parameters are not kept: give them again with --parameters FILE.
    """
    with session(as_json=as_json) as here:
        given = read_parameters(parameter, parameters)
        made = again(here.client, run, failed=failed, from_step=from_step, parameters=given, reason=reason)
        if unknown := (made.repeats or {}).get("unknown"):
            here.paper.say(
                f"How it ended in run {run} is unknown, so it may be done twice: {', '.join(unknown)}"
            )
        if unready := (made.repeats or {}).get("unready"):
            here.paper.say(f"A step before {from_step} did not succeed in run {run} on: {', '.join(unready)}")
        _see(here, made, no_wait, timeout)


def watch(run: RunNumber, *, timeout: Timeout = None, as_json: AsJson = False) -> None:
    """Follow a run to its end; the exit code is its result."""
    with session(as_json=as_json) as here:
        raise typer.Exit(follow(here.client, here.paper, run, timeout=timeout))


def _see(here: Session, made: Run, no_wait: bool, timeout: float | None) -> None:  # noqa: FBT001  # as typed
    """Follow a new run, and end with its result; or only tell that it was taken."""
    # Known from here on, also to somebody who interrupts it.
    here.paper.say(f"Run {made.id}: {made.status}")
    if no_wait or made.status == "held":
        if here.paper.as_json:
            here.paper.json({"run": summary(made)})
        raise typer.Exit(Exit.SUCCEEDED)
    raise typer.Exit(follow(here.client, here.paper, made.id, timeout=timeout))


def _tell_proposal(paper: Paper, proposal: Proposal) -> None:
    if paper.as_json:
        paper.json(dict(proposal.raw))
        return
    paper.line(f"Proposal {proposal.id}: {proposal.status}", style=style_of(proposal.status))
    name = (proposal.definition or {}).get("name")
    for label, told in (("workflow", name), ("targets", proposal.targets), ("because", proposal.reason)):
        if told:
            paper.line(f"  {label:<11}{told}")
    for key, value in proposal.parameters.items():
        paper.line(f"  {key}={value}")
    for question in proposal.questions:
        near = f" ({', '.join(question.choices)})" if question.choices else ""
        option = "-t QUERY" if question.slot == "targets" else f"-p {question.slot}=..."
        paper.line(f"  {question.text}{near}  [{option}]", style="yellow")
