"""Whether a credential goes with the login method of the place where it is used."""

from __future__ import annotations

from typing import Any

import pytest

from automation.login_fit import misfit
from credentials.models import Credential

FITS = {
    "negotiate": {"password"},
    "ntlm": {"password"},
    "basic": {"password"},
    "credssp": {"password"},
    "kerberos": {"password", "keytab"},
    "certificate": {"client_certificate"},
    "ssh": {"password", "private_key"},
}


def vault(*names: str) -> dict[str, Any]:
    return {"keys": dict.fromkeys(names, "key")}


@pytest.mark.parametrize("method", FITS)
@pytest.mark.parametrize("proof", ["password", "keytab", "client_certificate", "private_key"])
def test_each_method_takes_what_it_can_log_in_with_also_from_a_vault(method: str, proof: str) -> None:
    place = {} if method == "ssh" else {"winrm": {"method": method}}
    also = ("private_key",) if proof == "client_certificate" else ()
    kept = Credential(name="kept", kind="vault", vault=vault(proof, *also))
    assert (misfit(place, kept) == "") is (proof in FITS[method])
    if proof in ("password", "keytab", "client_certificate"):
        here = Credential(name="here", kind=proof)
        assert (misfit(place, here) == "") is (proof in FITS[method])


def test_the_words_name_the_method_the_credential_and_what_to_do() -> None:
    told = misfit({"winrm": {}}, Credential(name="tickets", kind="keytab"))
    assert "negotiate, which takes a password" in told and "'tickets' has a keytab" in told
    assert "Change the target's method" in told
    assert misfit({}, None) == ""
