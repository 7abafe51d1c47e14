"""Realms of the settings, handed to the Kerberos libraries, which know no other way than a file."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

from automation.libraries.windows.kerberos import krb5_configuration
from opsportal.env_readers import EnvReader, SettingError

SETTING = "OPSPORTAL_KERBEROS_REALMS"


def point_kerberos(env: EnvReader, data: Path, environment: MutableMapping[str, str]) -> None:
    """Write DIR/krb5.conf for the realms of OPSPORTAL_KERBEROS_REALMS, and have this process use it.

    The setting reads `EXAMPLE.COM=dc1.example.com dc2.example.com, OTHER.COM`; a realm without centres is
    looked up in DNS. Without the setting the system's own configuration is used. Raises SettingError.
    """
    items = env.words(SETTING)
    if not items:
        return
    realms: dict[str, list[str]] = {}
    for item in items:
        realm, _, centres = item.partition("=")
        realms[realm.strip()] = centres.split()
    try:
        text = krb5_configuration(realms)
    except ValueError as error:
        raise SettingError(f"{SETTING}: {error}.") from None
    file = data / "krb5.conf"
    if not file.exists() or file.read_text("utf-8") != text:
        data.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    environment["KRB5_CONFIG"] = str(file)
