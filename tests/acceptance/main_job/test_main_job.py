"""The customer's main job on real hosts, with every part real: "update nginx on web servers"."""

from dataclasses import dataclass

import pytest

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_errors import AutomationError
from aiworkflows.client_types import Run
from tests.hosts.client import Hosts

SENTENCE = "update nginx on web servers"


@dataclass(frozen=True)
class Nginx:
    """What an independent SSH client sees of nginx on a host."""

    status: str
    version: str
    main_pid: str
    active: str
    page: str


def look(hosts: Hosts, name: str) -> Nginx:
    package = hosts.ssh(name, "dpkg-query -W -f '${db:Status-Abbrev}|${Version}' nginx").stdout
    status, version = package.split("|")
    pid = hosts.ssh(name, "systemctl show -p MainPID --value nginx").stdout.strip()
    active = hosts.ssh(name, "systemctl is-active nginx").stdout.strip()
    return Nginx(status, version, pid, active, hosts.page(name))


def submit(ai: AutomationClient) -> Run:
    proposal = ai.propose(SENTENCE)
    assert proposal.status == "ready", proposal
    return ai.submit_proposal(proposal.id)


def carry_out(ai: AutomationClient, approver: AutomationClient) -> Run:
    run = submit(ai)
    assert run.status == "awaiting_approval"
    approver.approve(run.id, run.plan_hash, "looked at it")
    return ai.wait(run.id, timeout=300)


def states(client: AutomationClient, run: Run) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for result in client.results(run.id):
        found.setdefault(result.target, []).append(result.state)
    return found


def test_the_sentence_updates_nginx_on_every_web_server(
    web_servers: Hosts, ai: AutomationClient, approver: AutomationClient
) -> None:
    before = {name: look(web_servers, name) for name in web_servers.names}
    run = carry_out(ai, approver)
    after = {name: look(web_servers, name) for name in web_servers.names}
    assert run.status == "succeeded", list(ai.results(run.id))
    for name in web_servers.names:
        assert after[name].status == "ii "
        assert after[name].version != before[name].version
        assert after[name].main_pid not in ("0", before[name].main_pid)
        assert (after[name].active, name in after[name].page) == ("active", True)


def test_a_broken_package_stops_at_the_canary_which_is_put_back(
    web_servers: Hosts, ai: AutomationClient, approver: AutomationClient
) -> None:
    before = {name: look(web_servers, name) for name in web_servers.names}
    for name in web_servers.names:
        web_servers.fault(name, "bad-package")
    run = carry_out(ai, approver)
    canary, *others = sorted(web_servers.names)
    assert run.status == "failed"
    after = look(web_servers, canary)
    assert (after.status, after.version, after.active) == ("ii ", before[canary].version, "active")
    undone = [r for r in ai.results(run.id) if r.target == canary and r.undone]
    assert [r.step for r in undone] == ["update"]
    for name in others:
        assert look(web_servers, name) == before[name]
        assert set(states(ai, run)[name]) == {"skipped"}


def test_with_one_host_dead_the_others_finish_and_the_run_is_partial(
    web_servers: Hosts, ai: AutomationClient, approver: AutomationClient
) -> None:
    before = look(web_servers, "web2").version
    web_servers.fault("web2", "link-down")
    run = carry_out(ai, approver)
    web_servers.clear("web2")
    assert run.status == "partial"
    assert states(ai, run)["web2"][0] == "unreachable"
    assert look(web_servers, "web2").version == before
    for name in ("web1", "web3"):
        assert set(states(ai, run)[name]) == {"succeeded"}
        assert look(web_servers, name).version != before


def test_a_changed_host_key_is_blocked_before_any_login(
    web_servers: Hosts, ai: AutomationClient, approver: AutomationClient
) -> None:
    web_servers.fault("web3", "host-key")
    logins = web_servers.raw("web3", "journalctl", "-u", "ssh", "--no-pager", "-o", "cat").stdout.count(
        "Accepted"
    )
    run = carry_out(ai, approver)
    (first, *_) = [r for r in ai.results(run.id) if r.target == "web3"]
    assert (first.state, first.code) == ("blocked", "hostkey.changed")
    said = web_servers.raw("web3", "journalctl", "-u", "ssh", "--no-pager", "-o", "cat").stdout
    assert said.count("Accepted") == logins


def test_the_ai_cannot_approve_what_it_asked_for(
    web_servers: Hosts, ai: AutomationClient, approver: AutomationClient
) -> None:
    del web_servers
    run = submit(ai)
    with pytest.raises(AutomationError) as refusal:
        ai.approve(run.id, run.plan_hash)
    assert refusal.value.status == 403
    assert ai.status(run.id).status == "awaiting_approval"
    approver.cancel(run.id)


def test_an_unknown_group_is_a_question_with_near_names(web_servers: Hosts, ai: AutomationClient) -> None:
    del web_servers
    proposal = ai.propose("update nginx on webb servers")
    assert proposal.status == "needs_answer"
    assert "group:web" in str(proposal.questions)


def test_the_story_of_a_run_is_complete_and_its_log_can_be_read(
    web_servers: Hosts, ai: AutomationClient, approver: AutomationClient
) -> None:
    del web_servers
    run = carry_out(ai, approver)
    seqs = [event.seq for event in ai.events(run.id)]
    assert seqs == list(range(1, len(seqs) + 1))
    log = b"".join(ai.logs(run.id, "web1", "update"))
    assert b"Setting up nginx" in log
