"""Carrying out the test of a target, and keeping the host key that it showed for a person to look at."""

from __future__ import annotations

from automation.libraries.errors import HostKeyChanged, HostKeyUnknown
from automation.libraries.results import ConnectionTest
from automation.libraries.target_check import check_target
from automation.libraries.types import Credentials, Endpoint
from automation.login_choice import Choices
from automation.models import HostKey, Installation, Target, TargetTest
from automation.models.inventory import fingerprint
from automation.workers.logins import LOGIN_ERRORS, Logins, login_code
from credentials.vault import VaultUnusable


def carry_out(number: int) -> None:
    """Carry out test `number`, if nobody else does."""
    test = TargetTest.objects.claim(number)
    if test is None:
        return
    target = test.target
    if frozen := Installation.frozen():
        test.refuse("portal.frozen", frozen, "An administrator ends that: manage.py unfreeze.")
        return
    if target.transport != Target.Transport.SSH:
        test.refuse(
            "transport.unsupported",
            f"{target.name} is reached over {target.transport}, which cannot be tested yet.",
            "Test it when this portal can reach such targets.",
        )
        return
    try:
        credentials = _login_of(target)
    except VaultUnusable as error:
        test.refuse(error.code, error.message, error.next_step)
        return
    except LOGIN_ERRORS as error:
        test.refuse(login_code(error), str(error), "Enter the secrets of its credential anew.")
        return
    result = check_target(Endpoint(target.address, target.port, tuple(target.trusted_keys())), credentials)
    test.finish(result, fingerprint=_remember(target, result))


def _login_of(target: Target) -> Credentials:
    credential = Choices().of(target).credential
    if credential is None or not credential.enabled or credential.expired:
        # The test goes as far as it can without one: the machine's identity is learned all the same.
        return Credentials(username="")
    return Logins().of(credential, credential.username).credentials


def _remember(target: Target, result: ConnectionTest) -> str:
    """Keep the key that was shown instead of a trusted one; the fingerprint of whichever was shown."""
    if not result.host_key:
        return ""
    key_type, key = result.host_key.split()[:2]
    if isinstance(result.error, HostKeyChanged):
        HostKey.objects.saw(target, key_type, key, HostKey.State.CHANGED)
    elif isinstance(result.error, HostKeyUnknown):
        HostKey.objects.saw(target, key_type, key, HostKey.State.PENDING)
    return fingerprint(key)
