"""Each fault has the effect that it names, and `clear` brings the host back.

The proofs run side by side, each on a host of its own; every test then tells how its own one went.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

import pytest

from tests.hosts import login_proofs, proofs
from tests.hosts.client import Hosts
from tests.hosts.faults import registry
from tests.hosts.fixtures import HostFactory
from tests.hosts.processes import HostsError
from tests.hosts.proofs import Proof

_SIDE_BY_SIDE = 5
pytestmark = pytest.mark.hosts


def _proof_of(fault: str) -> Proof:
    function = fault.replace("-", "_")
    found: Proof = getattr(proofs, function, None) or getattr(login_proofs, function)
    return found


def _prove(fault: str, hosts: Hosts, free: "SimpleQueue[str]") -> None:
    name = free.get()
    try:
        _proof_of(fault)(hosts, name)
        hosts.clear(name)
        _is_well(hosts, name)
    except BaseException:
        hosts.reset(name)  # the next proof shall not fail because of this one
        raise
    finally:
        free.put(name)


def _is_well(hosts: Hosts, name: str) -> None:
    assert hosts.faults(name) == []
    done = hosts.ssh(
        name, "sudo -n touch /root/well /home/ops/well && sudo -n id -u && systemctl is-active nginx"
    )
    assert (done.stdout, done.stderr) == ("0\nactive\n", "")
    assert hosts.page(name) == f"<h1>{name}</h1>\n"


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, host_factory: HostFactory
) -> Iterator[Callable[[str], Future[None]]]:
    """The proofs of all faults that this run of pytest asks for, under way."""
    asked = [
        str(item.callspec.params["fault"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and hasattr(item, "callspec")
    ]
    hosts = host_factory(f"web={_SIDE_BY_SIDE}")
    free: SimpleQueue[str] = SimpleQueue()
    for name in hosts.names:
        free.put(name)
    with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE) as pool:
        futures = {fault: pool.submit(_prove, fault, hosts, free) for fault in asked}
        yield futures.__getitem__
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("fault", registry.ALL)
def test_a_fault_has_its_effect_and_clear_brings_the_host_back(
    fault: str, outcomes: Callable[[str], Future[None]]
) -> None:
    outcomes(fault).result()


def test_an_unknown_fault_is_refused_with_the_names_of_the_others() -> None:
    with pytest.raises(HostsError, match="no fault earthquake; there are: link-down, "):
        registry.named("earthquake")
