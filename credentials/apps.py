from django.apps import AppConfig

from credentials import checks
from credentials.keys import cipher


class CredentialsConfig(AppConfig):
    """Secrets at rest."""

    name = "credentials"
    checks = checks  # imported for its registration

    def import_models(self) -> None:
        # The field's package reads the keys when it is imported: missing ones are told here, in our words.
        cipher()
        super().import_models()
