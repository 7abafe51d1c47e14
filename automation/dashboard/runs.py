"""The list of runs: chosen by state, words and whose they are."""

from collections.abc import Callable
from typing import Final

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count, Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from automation.dashboard.run_rows import rows_of, shown
from automation.models import JobRun, RunStatus, RunTarget
from automation.models.runs import LIVE, WAITING, JobRunQuerySet

A_PAGE: Final = 25
LONGEST_SEARCH: Final = 200
# What people look for, each the sum of some states: key, label, states.
CHOICES: Final = (
    ("waiting", "Waiting", WAITING),
    ("live", "Running", LIVE),
    ("succeeded", "Succeeded", (RunStatus.SUCCEEDED,)),
    ("problems", "With problems", (RunStatus.PARTIAL, RunStatus.FAILED, RunStatus.ERRORED)),
    ("stopped", "Not carried out", (RunStatus.CANCELLED, RunStatus.REJECTED, RunStatus.EXPIRED)),
)

# What other pages lead here with: the very name, no part of it. Key, label, which runs.
EXACT: Final[dict[str, tuple[str, Callable[[JobRunQuerySet, str], JobRunQuerySet]]]] = {
    "workflow": ("Workflow", lambda runs, name: runs.filter(workflow_name=name)),
    "target": (
        "Target",
        lambda runs, name: runs.filter(Exists(RunTarget.objects.filter(run=OuterRef("pk"), name=name))),
    ),
    "by": ("Asked by", lambda runs, name: runs.filter(submitted_by__username=name)),
}


@login_required
@require_safe
@vary_on_headers("HX-Request")
def runs(request: HttpRequest) -> HttpResponse:
    """`?state=` one of CHOICES, `?q=` words, `?mine=1`, EXACT, `?page=`; as a fragment the list alone."""
    words = request.GET.get("q", "").strip()[:LONGEST_SEARCH]
    found = JobRun.objects.visible_to(request.user)
    if request.GET.get("mine"):
        found = found.filter(pk__in=JobRun.objects.asked_for_by(request.user).values("pk"))
    exact = [(key, label, value) for key, (label, _) in EXACT.items() if (value := _asked(request, key))]
    for key, _, value in exact:
        found = EXACT[key][1](found, value)
    if words:
        found = _with_words(found, words)
    chips, chosen = _chips(found, request.GET.get("state", ""))
    page = Paginator(shown(found.filter(chosen)), A_PAGE).get_page(request.GET.get("page"))
    (rows,) = rows_of(page.object_list)
    context = {
        "chips": chips,
        "page": page,
        "rows": rows,
        "words": words,
        "exact": exact,
        "mine": bool(request.GET.get("mine")),
        "state": next((chip["key"] for chip in chips if chip["chosen"]), ""),
        "filtered": bool(words or exact or request.GET.get("mine") or request.GET.get("state")),
    }
    fragment = request.headers.get("HX-Request") == "true"
    return render(request, "runs/list.html" if fragment else "runs/runs.html", context)


def _asked(request: HttpRequest, key: str) -> str:
    return request.GET.get(key, "").strip()[:LONGEST_SEARCH]


def _with_words(found: JobRunQuerySet, words: str) -> JobRunQuerySet:
    """Runs with every word in their name, sentence, reason, submitter or a target; or of that number."""
    for word in words.split()[:8]:
        fits = (
            Q(workflow_name__icontains=word)
            | Q(reason__icontains=word)
            | Q(source__prompt__icontains=word)
            | Q(submitted_by__username__icontains=word)
            | Q(Exists(RunTarget.objects.filter(run=OuterRef("pk"), name__icontains=word)))
        )
        number = word.removeprefix("#")
        if number.isdecimal() and len(number) < 19:
            fits |= Q(pk=int(number))
        found = found.filter(fits)
    return found


def _chips(found: JobRunQuerySet, wanted: str) -> tuple[list[dict[str, object]], Q]:
    """The choices with how many runs each has, and the condition of the one that is wanted."""
    counts: dict[str, int] = dict(
        found.order_by().values_list("status").annotate(n=Count("pk", distinct=True))
    )
    everything = {"key": "", "label": "All", "count": sum(counts.values()), "chosen": True}
    chips: list[dict[str, object]] = [everything]
    chosen = Q()
    for key, label, states in CHOICES:
        count = sum(counts.get(state, 0) for state in states)
        chips.append({"key": key, "label": label, "count": count, "chosen": key == wanted})
        if key == wanted:
            everything["chosen"], chosen = False, Q(status__in=states)
    return chips, chosen
