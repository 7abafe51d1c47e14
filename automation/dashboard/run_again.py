"""Running a finished run again by hand: where, with which secrets, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from automation.dashboard.plan import readable
from automation.dashboard.plan_targets import as_text
from automation.dashboard.rights import require, why_not
from automation.dashboard.run_form import MAX_REASON, Field, sentence
from automation.definitions.errors import DefinitionError, ParameterError
from automation.definitions.parameter_types import Parameter
from automation.models import JobRun, ResultState, StepResult
from automation.plan import PlanError
from automation.repeat import WHICH, Repeat, Which, unknown_in
from automation.rerun import Again, parameters_of, rerun, secret_names, workflow_of
from automation.submit import submit

SHOWN_TARGETS = 50
FINE = (ResultState.SUCCEEDED, ResultState.SKIPPED)


@dataclass(frozen=True, slots=True)
class NotGood:
    """A target that did not succeed, and the first step that tells why."""

    name: str
    state: str
    step: str


class AgainForm:
    """`data` is what was sent, None for the defaults. Errors stand at their fields, the rest in `errors`."""

    def __init__(self, run: JobRun, data: QueryDict | None = None) -> None:
        self.run = run
        self.header: dict[str, Any] = json.loads(run.header)
        self.total = run.targets.count()
        self.failed = run.targets.exclude(good=True).count()
        sent: Mapping[str, Any] = data if data is not None else self._initial()
        which = str(sent.get("targets", ""))
        self.which: Which = "failed" if which == "failed" else "all"
        self.reason = str(sent.get("reason", ""))
        self.hold = bool(sent.get("hold"))
        self.from_step = str(sent.get("from_step", ""))
        self.errors = [] if which in WHICH else ["Choose where it runs again."]
        declared = self.header["workflow"]["parameters"]
        self.fields = [
            # Also one that need not have been given: the run had it.
            Field(name, Parameter.model_validate(declared[name] | {"required": True}), "")
            for name in secret_names(self.header)
        ]
        if data is not None:
            for each in self.fields:
                each.value = str(data.get(each.key, ""))

    def _initial(self) -> dict[str, Any]:
        changes = self.run.tier != "read" and not self.run.dry_run
        return {"targets": "failed" if self.failed else "all", "hold": changes}

    @property
    def has_errors(self) -> bool:
        return bool(self.errors or any(each.error for each in self.fields))

    def steps(self) -> list[str]:
        """Those it can begin with, by name; none where nobody knows them any more."""
        try:
            return [step.name for step in workflow_of(self.run, self.header).steps]
        except (PlanError, DefinitionError):
            return []

    def parameters(self) -> list[tuple[str, str]]:
        """Those it has as it had them, to be read."""
        try:
            values = parameters_of(self.header, workflow_of(self.run, self.header))
        except (PlanError, DefinitionError):
            values = self.header["parameters"]
        return [(name, as_text(value)) for name, value in values.items()]

    def submit(self, user: User) -> JobRun | None:
        """The new run; None when something is wrong, which then stands at its field."""
        if len(self.reason) > MAX_REASON:
            self.errors.append(f"The reason has at most {MAX_REASON} characters.")
        if self.errors:
            return None
        wanted = Again(
            submitter=user,
            which=self.which,
            from_step=self.from_step,
            secrets={each.name: each.given() for each in self.fields},
            hold=self.hold,
            reason=self.reason.strip(),
        )
        try:
            return submit(rerun(self.run, wanted))
        except (PlanError, ParameterError) as error:
            self._place(error)
        except DefinitionError as error:
            self.errors += [sentence(each["message"]) for each in error.errors]
        return None

    def _place(self, error: PlanError | ParameterError) -> None:
        wrong = {str(each.get("path")): str(each.get("message")) for each in error.errors}
        for field in self.fields:
            field.error = sentence(wrong.pop(f"parameters.{field.name}", ""))
        if wrong or not self.has_errors:
            self.errors.append(str(error))


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def run_again(request: HttpRequest, pk: int) -> HttpResponse:
    """The form; sent, it submits the new run and shows it."""
    earlier = get_object_or_404(readable(request), pk=pk)
    if not earlier.is_final:
        messages.info(request, f"Run {pk} is not over yet; then it can be run again.")
        return redirect("run", pk=pk)
    if request.method != "POST":
        return _shown(request, AgainForm(earlier))
    require(request.user, "runs:submit")
    assert isinstance(request.user, User)  # noqa: S101  (login_required)
    form = AgainForm(earlier, request.POST)
    made = form.submit(request.user)
    return _shown(request, form, status=422) if made is None else redirect("run", pk=made.pk)


def _shown(request: HttpRequest, form: AgainForm, *, status: int = 200) -> HttpResponse:
    not_good = _not_good(form.run)
    context = {
        "form": form,
        "run": form.run,
        "not_good": not_good,
        "more": max(form.failed - len(not_good), 0),
        "unknown": unknown_in(form.run),
        "locked": sorted(set(form.run.targets.filter(locks__isnull=False).values_list("name", flat=True))),
        "gone": Repeat.of(form.run, "all").gone,
        "parameters": form.parameters(),
        "steps": form.steps(),
        "why_not_run": why_not(request.user, "runs:submit"),
    }
    return render(request, "automation/run_again.html", context, status=status)


def _not_good(run: JobRun) -> list[NotGood]:
    """The first of them, in the order of the plan."""
    targets = run.targets.exclude(good=True).order_by("position")[:SHOWN_TARGETS]
    names = {target.pk: target.name for target in targets}
    bad = StepResult.objects.filter(run_target__in=names).exclude(state__in=FINE).order_by("-step_index")
    first = {row.run_target_id: row for row in bad}
    found = []
    for pk, name in names.items():
        row = first.get(pk)
        found.append(NotGood(name, str(row.state) if row else "skipped", row.step if row else ""))
    return found
