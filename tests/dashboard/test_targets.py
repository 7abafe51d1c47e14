"""The pages of targets."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse

from automation.models import Group, HostKey, RunTarget, Target, TargetTest
from credentials.models import Credential
from tests.api.conftest import HOST_KEY, OTHER_HOST_KEY, TOUCH, session

HOSTILE = "<img/src=x\\onerror=alert(1)>"
MakeTarget = Callable[..., Target]


@pytest.fixture
def enter(people: dict[str, User]) -> Callable[[str], Client]:
    def entered(role: str) -> Client:
        client = Client()
        client.force_login(people[role])
        return client

    return entered


@pytest.fixture
def pending(web: list[Target]) -> HostKey:
    return HostKey.objects.saw(web[0], "ssh-ed25519", HOST_KEY, HostKey.State.PENDING)


@pytest.fixture
def changed(web: list[Target], people: dict[str, User]) -> HostKey:
    HostKey.objects.saw(web[0], "ssh-ed25519", HOST_KEY, HostKey.State.PENDING).trust(by=people["admin"])
    return HostKey.objects.saw(web[0], "ssh-ed25519", OTHER_HOST_KEY, HostKey.State.CHANGED)


def names(answer: Any) -> list[str]:
    return [row.target.name for row in answer.context["rows"]]


@pytest.mark.usefixtures("web")
def test_the_list_shows_every_target(enter: Callable[[str], Client]) -> None:
    assert names(enter("viewer").get(reverse("targets"))) == ["web1", "web2", "web3"]


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize(
    ("query", "found"),
    [("group:web -name:web2", ["web1", "web3"]), ("env:dev", []), ("web1", ["web1"])],
)
def test_the_list_takes_a_target_query(enter: Callable[[str], Client], query: str, found: list[str]) -> None:
    assert names(enter("viewer").get(reverse("targets"), {"q": query})) == found


@pytest.mark.usefixtures("web")
def test_a_query_that_cannot_be_read_is_told_with_its_place_and_kept(enter: Callable[[str], Client]) -> None:
    answer = enter("viewer").get(reverse("targets"), {"q": 'groop:"web"'})
    body = answer.content.decode()
    assert answer.status_code == 200
    assert "Column 1" in body
    assert "did you mean group:?" in body
    assert 'value="groop:&quot;web&quot;"' in body


def test_the_list_chooses_by_host_key(enter: Callable[[str], Client], pending: HostKey) -> None:
    answer = enter("viewer").get(reverse("targets"), {"keys": "pending"})
    assert names(answer) == [pending.target.name]
    assert "1 host key to look at" in answer.content.decode()


def test_a_changed_key_raises_the_alarm_on_top(enter: Callable[[str], Client], changed: HostKey) -> None:
    body = enter("viewer").get(reverse("targets")).content.decode()
    assert body.index('role="alert"') < body.index("<table")
    assert changed.fingerprint in body


def test_the_list_has_pages(enter: Callable[[str], Client], make_target: MakeTarget) -> None:
    for number in range(55):
        make_target(f"t{number:02}")
    viewer = enter("viewer")
    assert len(names(viewer.get(reverse("targets")))) == 50
    assert names(viewer.get(reverse("targets"), {"page": 2})) == [f"t{number}" for number in range(50, 55)]
    assert len(names(viewer.get(reverse("targets"), {"page": "2", "q": "name:t*"}))) == 5


@pytest.mark.parametrize("query", ["", "?q=all"])
def test_the_list_takes_a_fixed_number_of_queries(
    enter: Callable[[str], Client],
    make_target: MakeTarget,
    django_assert_max_num_queries: Callable[[int], Any],
    query: str,
) -> None:
    viewer, address = enter("viewer"), reverse("targets") + query
    counts = []
    for more in (3, 27):
        for _ in range(more):
            login = Credential.objects.create(name=f"login{Target.objects.count()}", kind="password")
            made = make_target(f"t{Target.objects.count()}", groups=("a", "b"), credential=login)
            HostKey.objects.saw(made, "ssh-ed25519", HOST_KEY, HostKey.State.CHANGED)
            made.tests.create(state="done", success=True)
        with django_assert_max_num_queries(20) as counted:
            viewer.get(address)
        counts.append(len(counted.captured_queries))
    assert counts[0] == counts[1]


def test_the_page_shows_variables_with_their_origin(
    enter: Callable[[str], Client], web: list[Target]
) -> None:
    Group.objects.filter(name="web").update(variables={"port": 80, "site": "eu"})
    Target.objects.filter(pk=web[0].pk).update(variables={"port": 8080})
    answer = enter("viewer").get(reverse("target", args=[web[0].pk]))
    sources = dict(answer.context["variables"])
    assert [(source.value, source.group and source.group.name) for source in sources["port"]] == [
        (80, "web"),
        (8080, None),
    ]
    assert "group web" in answer.content.decode()


def test_a_pending_key_shows_what_to_compare(enter: Callable[[str], Client], pending: HostKey) -> None:
    body = enter("admin").get(reverse("target", args=[pending.target_id])).content.decode()
    assert pending.fingerprint in body
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in body
    assert reverse("host-key-trust", args=[pending.pk]) in body


def test_a_changed_key_shows_both_fingerprints_and_what_to_do(
    enter: Callable[[str], Client], changed: HostKey
) -> None:
    body = enter("viewer").get(reverse("target", args=[changed.target_id])).content.decode()
    alarm = body[body.index('role="alert"') :][:2500]
    trusted = changed.target.host_keys.get(state="trusted")
    assert changed.fingerprint in alarm
    assert trusted.fingerprint in alarm
    assert "treat it as an attack" in alarm


def test_trust_is_recorded_and_revokes_the_old_key(
    enter: Callable[[str], Client], changed: HostKey, people: dict[str, User]
) -> None:
    answer = enter("admin").post(reverse("host-key-trust", args=[changed.pk]), {"compared": "yes"})
    assert answer.headers["Location"] == reverse("target", args=[changed.target_id])
    changed.refresh_from_db()
    assert (changed.state, changed.decided_by) == ("trusted", people["admin"])
    assert changed.target.host_keys.exclude(pk=changed.pk).get().state == "revoked"


def test_a_key_nobody_compared_is_not_trusted(enter: Callable[[str], Client], pending: HostKey) -> None:
    enter("admin").post(reverse("host-key-trust", args=[pending.pk]))
    pending.refresh_from_db()
    assert pending.state == "pending"


def test_a_key_is_revoked(enter: Callable[[str], Client], pending: HostKey) -> None:
    enter("admin").post(reverse("host-key-revoke", args=[pending.pk]))
    pending.refresh_from_db()
    assert pending.state == "revoked"


@pytest.mark.parametrize("role", ["viewer", "operator", "approver"])
def test_who_may_not_trust_sees_why_and_cannot(
    enter: Callable[[str], Client], pending: HostKey, role: str
) -> None:
    client = enter(role)
    assert (
        "This needs the role admin"
        in client.get(reverse("target", args=[pending.target_id])).content.decode()
    )
    answer = client.post(reverse("host-key-trust", args=[pending.pk]), {"compared": "yes"})
    assert answer.status_code == 403
    pending.refresh_from_db()
    assert pending.state == "pending"


def test_a_viewer_sees_why_he_cannot_test(enter: Callable[[str], Client], web: list[Target]) -> None:
    viewer = enter("viewer")
    assert (
        "This needs the role operator or admin"
        in viewer.get(reverse("target", args=[web[0].pk])).content.decode()
    )
    assert viewer.post(reverse("target-look", args=[web[0].pk, "test"])).status_code == 403
    assert not TargetTest.objects.exists()


def test_a_test_is_asked_for_and_followed(
    enter: Callable[[str], Client], web: list[Target], people: dict[str, User]
) -> None:
    operator = enter("operator")
    answer = operator.post(reverse("target-look", args=[web[0].pk, "test"]))
    assert answer.headers["Location"] == reverse("target", args=[web[0].pk]) + "#test"
    test = web[0].tests.get()
    assert (test.asked_by, test.state) == (people["operator"], "waiting")
    fragment = reverse("target-tested", args=[web[0].pk])
    assert "data-refresh" in operator.get(fragment).content.decode()
    test.refuse("connect.refused", "Nothing listens there.", "Check the port.")
    body = operator.get(fragment).content.decode()
    assert "data-refresh" not in body
    assert "Nothing listens there." in body
    assert "Check the port." in body


def test_looks_that_end_while_the_page_is_made_are_shown_whole_or_the_page_asks_again(
    enter: Callable[[str], Client], make_target: MakeTarget
) -> None:
    operator = enter("operator")
    for before_query in itertools.count():
        target = make_target(f"busy{before_query}", groups=("web",))
        looks = [target.tests.create(kind=kind) for kind in ("test", "facts")]
        worker = Worker(target, *looks, before_query=before_query)
        with connection.execute_wrapper(worker):
            body = operator.get(reverse("target-tested", args=[target.pk])).content.decode()
        if not worker.done:
            break
        if "data-refresh" not in body:
            assert "shows another host key than the trusted one" in body
            assert "6.1.0-test" in body
    assert before_query > 5


class Worker:
    """Ends a target's looks just before one of the queries that make a page, each after what it found."""

    def __init__(self, target: Target, test: TargetTest, facts: TargetTest, *, before_query: int) -> None:
        self.target, self.test, self.facts = target, test, facts
        self.queries_left, self.done = before_query, False

    def __call__(self, execute: Callable[..., Any], *query: Any) -> Any:
        if not self.queries_left and not self.done:
            self.done = True
            HostKey.objects.saw(self.target, "ssh-ed25519", OTHER_HOST_KEY, HostKey.State.CHANGED)
            self.test.refuse("hostkey.changed", "Another key.", "Compare.")
            Target.objects.get(pk=self.target.pk).learn({"kernel": "6.1.0-test"})
            self.facts.conclude(None, seconds=1.0)
        self.queries_left = max(0, self.queries_left - 1)
        return execute(*query)


def test_the_page_lists_what_ran_here(
    enter: Callable[[str], Client], web: list[Target], people: dict[str, User]
) -> None:
    asked = {"definition": TOUCH, "targets": "web1", "parameters": {"file": "/tmp/x"}}
    run = session(people["operator"]).post("/api/v1/runs/", asked).json()
    RunTarget.objects.filter(run=run["id"]).update(good=False, state="done")
    body = enter("viewer").get(reverse("target", args=[web[0].pk])).content.decode()
    assert f"#{run['id']} touch-file" in body


def test_hostile_names_are_text(enter: Callable[[str], Client], make_target: MakeTarget) -> None:
    target = make_target("x", groups=("web",), tags=[HOSTILE], environment=HOSTILE, variables={"v": HOSTILE})
    Target.objects.filter(pk=target.pk).update(name=HOSTILE)
    target.tests.create(state="done", success=False, code="x", cause=HOSTILE, next_step=HOSTILE)
    viewer = enter("viewer")
    for address in (reverse("targets"), reverse("target", args=[target.pk])):
        assert "<img" not in viewer.get(address).content.decode()


@pytest.mark.parametrize(
    "name", ["target", "target-tested", "host-key-trust", "host-key-revoke", "target-look"]
)
def test_mallory_and_strangers_get_nothing(
    enter: Callable[[str], Client], pending: HostKey, client: Client, name: str
) -> None:
    pk = pending.pk if name.startswith("host-key") else pending.target_id
    page = reverse(name, args=[pk, "test"] if name == "target-look" else [pk])
    for method in ("get", "post"):
        assert getattr(enter("mallory"), method)(page).status_code in (403, 405)
        answer = getattr(client, method)(page)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith(reverse("sign-in"))
