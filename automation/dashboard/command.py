"""Running a command on the targets of a query."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from automation.dashboard.rights import require, why_not
from automation.dashboard.run_form import MAX_REASON, Preview, preview_of
from automation.definitions.commands import command_workflow
from automation.definitions.errors import DefinitionError, QueryError
from automation.definitions.query import parse
from automation.definitions.schema import EFFECTS, Shell, Workflow
from automation.models import JobRun
from automation.plan import PlanError
from automation.submit import Submission, submit

EFFECT_WORDS = {
    "read": "It only reads",
    "change": "It changes something",
    "destructive": "It destroys something: data, users, machines",
}


@dataclass(slots=True)
class CommandForm:
    """What was typed, and what is wrong with it."""

    command: str = ""
    targets: str = ""
    effect: str = ""
    shell: Shell = "bash"
    become: bool = False
    timeout: str = "10m"
    hold: bool = True
    include_maintenance: bool = False
    reason: str = ""
    errors: list[str] = field(default_factory=list)
    targets_error: str = ""
    targets_caret: str = ""

    @classmethod
    def of(cls, sent: QueryDict) -> Self:
        return cls(
            command=sent.get("command", "").replace("\r\n", "\n"),
            targets=sent.get("targets", "").strip(),
            effect=sent.get("effect", ""),
            shell="powershell" if sent.get("shell") == "powershell" else "bash",
            become=bool(sent.get("become")),
            timeout=sent.get("timeout", "").strip() or "10m",
            hold=bool(sent.get("hold")),
            include_maintenance=bool(sent.get("include_maintenance")),
            reason=sent.get("reason", "").strip(),
        )

    @property
    def has_errors(self) -> bool:
        return bool(self.errors or self.targets_error)

    def workflow(self) -> Workflow | None:
        """The command as a workflow; None when something is wrong, which `errors` then tells."""
        effect = next((each for each in EFFECTS if each == self.effect), None)
        if effect is None:
            self.errors.append("Say what the command does: approvals depend on it.")
        try:
            return command_workflow(
                self.command,
                effect=effect or "change",
                shell=self.shell,
                become=self.become,
                timeout=self.timeout,
            )
        except DefinitionError as error:
            self.errors += [f"{each['path']}: {each['message']}" for each in error.errors]
        return None

    def preview(self, user: User) -> Preview:
        """The targets that the query names now; a command for one shell reaches its platform alone."""
        sample = command_workflow(":", effect="read", shell=self.shell)
        return preview_of(sample, self.targets, user, include_maintenance=self.include_maintenance)

    def submit(self, user: User) -> JobRun | None:
        """The run; None when something is wrong, which then stands at its field."""
        workflow = self.workflow()
        if len(self.reason) > MAX_REASON:
            self.errors.append(f"The reason has at most {MAX_REASON} characters.")
        try:
            query = parse(self.targets)
        except QueryError as error:
            self.targets_error, self.targets_caret = error.sentence, error.caret
        if self.has_errors or workflow is None:
            return None
        try:
            return submit(
                Submission(
                    workflow=workflow,
                    query=query,
                    submitter=user,
                    hold=self.hold,
                    include_maintenance=self.include_maintenance,
                    reason=self.reason,
                    source={"kind": "person"},
                )
            )
        except PlanError as error:
            self.errors.append(str(error))
        return None


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def command(request: HttpRequest) -> HttpResponse:
    """The form; sent, it submits the run, or with `preview` shows which targets it would take."""
    if request.method != "POST":
        return _shown(request, CommandForm(targets=request.GET.get("targets", "").strip()))
    require(request.user, "runs:submit")
    assert isinstance(request.user, User)  # noqa: S101  (login_required)
    form = CommandForm.of(request.POST)
    if "preview" in request.POST:
        return _shown(request, form, preview=form.preview(request.user))
    run = form.submit(request.user)
    if run is None:
        return _shown(request, form, status=422)
    return redirect("run", pk=run.pk)


def _shown(
    request: HttpRequest, form: CommandForm, *, preview: Preview | None = None, status: int = 200
) -> HttpResponse:
    context = {
        "form": form,
        "effects": EFFECT_WORDS.items(),
        "preview": preview,
        "why_not_run": why_not(request.user, "runs:submit"),
    }
    return render(request, "automation/command.html", context, status=status)
