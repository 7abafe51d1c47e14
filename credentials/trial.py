"""Trying a credential without a target: can its secrets be had now?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from credentials.keys import KeysUnusable
from credentials.models import Credential
from credentials.private_keys import PrivateKeyError, key_facts
from credentials.rules import CredentialError
from credentials.sealed import DecryptionError
from credentials.vault import VaultUnusable

ANEW = "Enter its secrets anew."


@dataclass(frozen=True, slots=True)
class Trial:
    """How it went: `code` is `ok` or why not; `gives` are the names of the secrets there are."""

    code: str
    message: str
    next_step: str = ""
    gives: tuple[str, ...] = ()

    @property
    def success(self) -> bool:
        return self.code == "ok"

    def as_dict(self) -> dict[str, Any]:
        return {"success": self.success} | asdict(self)


def try_credential(credential: Credential) -> Trial:
    """Read the secrets as a login would, from Vault too, and look whether they can be used.

    May wait for the network a few seconds. Says nothing of any target: test one for that.
    """
    try:
        secrets = credential.login_secrets()
        if credential.kind != Credential.Kind.VAULT:
            credential.check_fit()
        if secrets.private_key is not None:
            key_facts(secrets.private_key, secrets.passphrase)
    except VaultUnusable as error:
        return Trial(error.code, error.message, error.next_step)
    except DecryptionError as error:
        return Trial(error.code, str(error), ANEW)
    except KeysUnusable as error:
        return Trial("secret.keys_unusable", str(error))
    except CredentialError as error:
        return Trial(str(error.code), error.messages[0], "Correct the credential.")
    except PrivateKeyError as error:
        return Trial(error.code, str(error), ANEW)
    gives = tuple(name for name, _ in secrets.items())
    if credential.expired:
        return Trial("credential.expired", "It has expired.", "Enter new secrets and their end.", gives)
    return Trial("ok", f"It gives {', '.join(gives).replace('_', ' ')}.", gives=gives)
