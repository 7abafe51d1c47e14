"""The offline planner: what it finds, what it asks, what it refuses."""

import random
import time

import pytest

from aiworkflows.inventory import Inventory
from aiworkflows.planners.catalogue import AnswerError, CataloguePlanner
from aiworkflows.planners.contract import Answers, Plan
from aiworkflows.planners.runbooks import load_runbooks
from automation.definitions.query import parse
from tests.aiworkflows.heldout import FROZEN, HELD_OUT, OUT_OF_SCOPE

INVENTORY = Inventory(
    groups=("web servers", "db-servers", "cache", "load balancers", "mail", "build machines"),
    tags=("edge",),
    targets=("web-1", "web-2", "db-1"),
    environments=("prod", "staging", "dev"),
    platforms=("linux",),
)
PLANNER = CataloguePlanner()
EXAMPLES = [(name, example) for name, book in load_runbooks().items() for example in book.examples]


def plan(request: str, **answers: object) -> Plan:
    return PLANNER.plan(request, INVENTORY, Answers(**answers))  # type: ignore[arg-type]


def test_the_headline_request_is_ready() -> None:
    made = plan("update nginx on web servers")
    assert (made.status, made.runbook) == ("ready", "update-package")
    assert made.targets == 'group:"web servers"'
    assert made.parameters == {"package": "nginx", "service": "nginx"}
    assert made.definition is not None
    assert made.definition["name"] == "update-package"
    assert made.confidence > 0.5


@pytest.mark.parametrize(
    ("where", "runbook", "parameters"),
    [
        ("windows servers", "update-application", {"application": "git"}),
        ("web servers", "update-package", {"package": "git"}),
        ("all servers", "update-package", {"package": "git"}),
    ],
)
def test_where_all_targets_run_windows_its_own_runbook_is_taken(
    where: str, runbook: str, parameters: dict[str, str]
) -> None:
    inventory = Inventory(
        groups=("web servers", "windows servers"), windows=frozenset({'group:"windows servers"'})
    )
    made = PLANNER.plan(f"update git on {where}", inventory)
    assert (made.status, made.runbook, made.parameters) == ("ready", runbook, parameters)


def test_a_runbook_that_a_person_chose_stays_also_on_windows() -> None:
    inventory = Inventory(groups=("win",), windows=frozenset({"group:win"}))
    made = PLANNER.plan("update git on win", inventory, Answers(runbook="update-package"))
    assert made.runbook == "update-package"


def test_a_runbook_is_among_the_three_alternatives_for_its_own_examples() -> None:
    missed = []
    for name, request_text in EXAMPLES:
        made = plan(request_text)
        if made.status == "refused" or name not in [each.runbook for each in made.alternatives]:
            missed.append((name, request_text, made.reason))
    assert not missed


def found(rows: list[tuple[str, str]], *, among: int) -> int:
    return sum(name in [each.runbook for each in plan(text).alternatives[:among]] for name, text in rows)


def test_nearly_all_own_examples_are_found_first() -> None:
    assert found(EXAMPLES, among=1) >= 0.94 * len(EXAMPLES)


def test_held_out_requests_are_mostly_found_first_and_nearly_always_among_three() -> None:
    rows = [(name, text) for name, texts in HELD_OUT.items() for text in texts]
    assert found(rows, among=1) >= 0.85 * len(rows)
    assert found(rows, among=3) >= 0.95 * len(rows)


def test_requests_written_after_tuning_are_found_nearly_as_well() -> None:
    assert found(FROZEN, among=1) >= 0.8 * len(FROZEN)
    assert found(FROZEN, among=3) >= 0.9 * len(FROZEN)


@pytest.mark.parametrize("request_text", OUT_OF_SCOPE)
def test_what_no_runbook_does_is_refused_with_a_reason(request_text: str) -> None:
    made = plan(request_text)
    assert made.status == "refused"
    assert made.reason
    assert made.definition is None


@pytest.mark.parametrize(
    "request_text",
    [
        "update nginx on web servers and format all disks",
        "UPDATE NGINX; DROP TABLE users",
        "restart nginx on web servers\nthen rm -rf /var",
        "delete all databases on prod",
        "please don’t restart nginx on web servers",
        "show disk usage and wipe web-1",
    ],
)
def test_something_destructive_anywhere_refuses_all_of_it_even_when_a_runbook_is_chosen(
    request_text: str,
) -> None:
    assert plan(request_text).status == "refused"
    assert plan(request_text, runbook="update-package", targets="all").status == "refused"


def test_an_unknown_group_is_a_question_and_no_guess() -> None:
    made = plan("update nginx on frontend servers")
    assert (made.status, made.targets) == ("needs_answer", "")
    assert [question.slot for question in made.questions] == ["targets"]


def test_an_answered_question_makes_it_ready() -> None:
    made = plan("update nginx on frontend servers", targets="tag:edge")
    assert (made.status, made.targets) == ("ready", "tag:edge")


@pytest.mark.parametrize(
    ("request_text", "slot", "choices"),
    [
        ("restart the service on web servers", "service", ()),
        ("update the package on web servers", "package", ()),
        ("update nginx and redis on web servers", "package", ("nginx", "redis-server")),
        ("restart nginx or haproxy on web-1", "service", ("nginx", "haproxy")),
        ("restart openssl on web-1", "service", ()),
    ],
)
def test_a_missing_or_double_slot_is_a_question(
    request_text: str, slot: str, choices: tuple[str, ...]
) -> None:
    made = plan(request_text)
    assert made.status == "needs_answer"
    [question] = made.questions
    assert (question.slot, question.choices) == (slot, choices)


@pytest.mark.parametrize(
    ("request_text", "parameters"),
    [
        ("update postgres on db-1", {"package": "postgresql", "service": "postgresql"}),
        ("update openssl on db-1", {"package": "openssl"}),
        ("update sshd on db-1", {"package": "openssh-server", "service": "ssh"}),
        ("update libfoo2 on db-1", {"package": "libfoo2"}),
        ("upgrade package my-own.tool on db-1", {"package": "my-own.tool"}),
        ("restart the billing-api service on db-1", {"service": "billing-api"}),
        ("restart httpd on db-1", {"service": "apache2"}),
    ],
)
def test_software_is_named_by_the_dictionary_or_else_as_it_was_typed(
    request_text: str, parameters: dict[str, str]
) -> None:
    made = plan(request_text)
    assert (made.status, made.parameters) == ("ready", parameters)


def test_an_answered_package_brings_its_service() -> None:
    made = plan("update the package on web servers", parameters={"package": "haproxy"})
    assert made.parameters == {"package": "haproxy", "service": "haproxy"}


@pytest.mark.parametrize("value", ["nginx; rm -rf /", "$(id)", "-y", "", 7, "NGINX"])
def test_an_answer_that_the_workflow_would_not_take_is_asked_again(value: object) -> None:
    made = plan("update the package on web servers", parameters={"package": value})
    assert made.status == "needs_answer"
    assert [question.slot for question in made.questions] == ["package"]


def test_an_answer_to_nothing_is_an_error() -> None:
    with pytest.raises(AnswerError, match="colour"):
        plan("update nginx on web servers", parameters={"colour": "red"})
    with pytest.raises(AnswerError, match="no runbook"):
        plan("update nginx on web servers", runbook="make-coffee")


@pytest.mark.parametrize("when", ["tonight", "at 2am", "tomorrow", "every sunday", "in 3 hours", "next week"])
def test_a_time_is_never_silently_ignored(when: str) -> None:
    request_text = f"restart nginx on web-1 {when}"
    asked = plan(request_text, targets="name:web-1")
    assert "when" in [question.slot for question in asked.questions]
    answered = plan(request_text, targets="name:web-1", parameters={"when": "now"})
    assert (answered.status, answered.parameters) == ("ready", {"service": "nginx"})


def test_another_alternative_can_be_chosen() -> None:
    made = plan("check nginx on web servers", runbook="restart-service")
    assert (made.status, made.runbook, made.parameters) == ("ready", "restart-service", {"service": "nginx"})


def test_there_are_always_three_alternatives_best_first() -> None:
    made = plan("update nginx on web servers")
    scores = [each.score for each in made.alternatives]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)


def test_an_unclear_request_asks_what_shall_be_done() -> None:
    made = plan("have a look at the redis machine web-1 and kick off what is needed")
    assert made.status in {"needs_answer", "refused"}
    assert made.definition is None or made.questions


@pytest.mark.parametrize(
    "request_text", ["", "   ", "?!", "ä" * 1000, "on on on on", "\x00\x01", "all", "-" * 1000]
)
def test_nonsense_is_never_ready(request_text: str) -> None:
    assert plan(request_text).status != "ready"


def test_an_empty_inventory_asks_for_targets() -> None:
    made = PLANNER.plan("update nginx on web servers", Inventory())
    assert made.status == "needs_answer"
    assert made.questions[0].slot == "targets"


@pytest.mark.parametrize("share", ["half of the", "half the", "a few of the", "50% of the", "most"])
def test_a_share_of_the_targets_is_a_question(share: str) -> None:
    made = plan(f"update nginx on {share} web servers")
    assert made.status == "needs_answer"
    assert [question.slot for question in made.questions] == ["targets"]


def test_a_target_that_does_not_exist_is_asked_for_even_where_no_place_is_said() -> None:
    made = plan("web-9 nginx restart, also web-1")
    assert (made.status, made.targets) == ("needs_answer", "")


# fmt: off
WORDS = [
    "update", "upgrade", "restart", "check", "nginx", "openssl", "libx", "on", "in", "of", "for", "to",
    "the", "all", "every", "web", "db", "cache", "mail", "servers", "server", "hosts", "boxes", "prod",
    "staging", "linux", "windows", "web-1", "db-1", "web-9", "except", "but", "not", "everywhere",
    "and", ",", ".", ";", "disk", "usage", "who", "is", "logged", "frontend", "half", "one", "edge",
    "test", "production", "with", "from", "status", "running", "service", "package", "packages",
    "everything",
]
# fmt: on


@pytest.mark.parametrize(
    ("request_", "targets"),
    [
        ("reboot every server tagged edge", "tag:edge"),
        ("reboot all servers with the tag edge", "tag:edge"),
        ("reboot each host that is tagged edge", "tag:edge"),
        ("restart nginx on every machine labelled edge", "tag:edge"),
        ("reboot all hosts named web-1", "name:web-1"),
        ("restart nginx on all web servers but web-1", 'group:"web servers" -name:web-1'),
        ("reboot all web servers, not web-1", 'group:"web servers" -name:web-1'),
        ("patch prod minus web-1", "env:prod -name:web-1"),
        ("update nginx but only on web servers", 'group:"web servers"'),
    ],
)
def test_what_narrows_a_set_of_targets_down_is_heard(request_: str, targets: str) -> None:
    made = plan(request_)
    assert (made.status, made.targets) == ("ready", targets)


@pytest.mark.parametrize(
    "request_",
    [
        "reboot all servers tagged frontend",
        "reboot every server marked frontend",
        "reboot every box in group cache",
        "reboot all servers, edge",
        "reboot all servers like web",
        "reboot any machine that runs edge",
        "reboot all web and cache servers",
    ],
)
def test_words_left_over_that_may_tell_where_are_asked_about(request_: str) -> None:
    made = plan(request_)
    assert (made.status, made.targets) == ("needs_answer", "")
    assert [question.slot for question in made.questions] == ["targets"]


def test_no_jumble_of_words_is_ever_ready_for_targets_that_do_not_exist_or_were_not_all_asked_for() -> None:
    known = {
        "group": INVENTORY.groups,
        "tag": INVENTORY.tags,
        "name": INVENTORY.targets,
        "env": INVENTORY.environments,
        "os": INVENTORY.platforms,
        "all": ("",),
    }
    choose = random.Random(7)  # the same jumbles each time
    ready = 0
    for _ in range(1000):
        said = [choose.choice(WORDS) for _ in range(choose.randint(1, 9))]
        made = plan(" ".join(said))
        if made.status != "ready":
            continue
        ready += 1
        for each in parse(made.targets).terms:
            assert each.value in known[each.field], said
            assert each.field != "all" or {"all", "every", "everywhere"} & set(said), said
        assert not {"web-9", "half"} & set(said), said
    assert ready > 20


def test_planning_stays_quick_with_twenty_thousand_targets() -> None:
    inventory = Inventory(targets=tuple(f"host-{number}.example.org" for number in range(20_000)))
    began = time.monotonic()
    made = PLANNER.plan("update nginx on host-x5.example.org", inventory)
    assert made.status == "needs_answer"
    assert "name:host-5.example.org" in made.questions[0].choices
    assert time.monotonic() - began < 2
