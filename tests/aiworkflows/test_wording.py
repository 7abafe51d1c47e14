"""How forms and slips are read, and where the planner asks rather than narrows down by itself."""

import pytest

from aiworkflows.inventory import Inventory
from aiworkflows.planners.catalogue import CataloguePlanner
from aiworkflows.planners.contract import Plan
from aiworkflows.planners.wording import Forms, Spelling

PLANNER = CataloguePlanner()
INVENTORY = Inventory(
    groups=("web servers", "load balancers", "cache"),
    tags=("edge",),
    targets=("web-1", "web-2"),
    environments=("prod", "staging"),
    platforms=("linux",),
)


def plan(request: str) -> Plan:
    return PLANNER.plan(request, INVENTORY)


def test_short_forms_are_written_out_as_whole_words_only() -> None:
    forms = Forms.load()
    assert forms.written_out("upd the PKG openssl") == "update the package openssl"
    assert forms.written_out("sec.conf and my-svc") == "sec.conf and my-svc"


def test_a_form_that_names_something_here_is_left_as_it_is() -> None:
    assert Forms.load().written_out("restart nginx on sec", names=frozenset({"sec"})).endswith("on sec")


@pytest.mark.parametrize(("said", "meant"), [("sotp", "stop"), ("strat", "start"), ("rstart", "start")])
def test_a_slip_is_the_word_with_two_letters_swapped_or_else_the_nearest(said: str, meant: str) -> None:
    assert Spelling(["start", "state", "stop"]).mended(said) == meant


def test_a_short_word_that_is_no_swap_is_no_slip() -> None:
    assert Spelling(["stop"]).mended("step") == "step"


@pytest.mark.parametrize(
    "request_text",
    [
        "reboot the web servers that are idle",
        "restart nginx on the web servers which run debian",
        "restart nginx on the web servers in europe",
        "reboot web servers unless they are in prod",
        "patch all servers outside of prod",
        "restart nginx on the web servers, web-2 excluded",
        "restart nginx on the other web servers",
        "restart nginx on a web server",
        "reboot any web server",
        "restart nginx on web-*",
        "patch everything, load balancers come later",
    ],
)
def test_what_narrows_the_targets_down_in_a_way_no_query_says_is_asked(request_text: str) -> None:
    made = plan(request_text)
    assert made.status == "needs_answer"
    assert made.targets == ""


@pytest.mark.parametrize(
    ("request_text", "targets"),
    [
        ("reboot prod webservers", 'env:prod group:"web servers"'),
        ("reload haproxy on the loadbalancers", 'group:"load balancers"'),
        ("the load balancers must be rebooted", 'group:"load balancers"'),
        ("is nginx running on any web server", 'group:"web servers"'),
    ],
)
def test_a_group_is_known_however_its_words_are_joined(request_text: str, targets: str) -> None:
    assert plan(request_text).targets == targets


def test_software_and_a_place_alone_are_asked_about() -> None:
    made = plan("nginx on web-1")
    assert made.status == "needs_answer"
    assert [each.runbook for each in made.alternatives] == [
        "check-service",
        "restart-service",
        "install-package",
    ]


@pytest.mark.parametrize("request_text", ["encrypt all files on web-1", "remove every package in staging"])
def test_what_would_ruin_a_target_is_refused(request_text: str) -> None:
    assert plan(request_text).status == "refused"
