"""Secret parameters of runs, kept as long as the run may still need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db import models

from automation.definitions.keyed_secrets import KeyedSecret
from credentials.fields import StrictEncryptedTextField
from credentials.keys import KeysUnusable
from credentials.models import sealed_field
from credentials.sealed import DecryptionError
from credentials.secret import Secret

if TYPE_CHECKING:
    from automation.models.runs import JobRun


@dataclass(frozen=True, slots=True)
class OpenedSecrets:
    """The values by name; `problem` says why they are not the plan's, and then nothing may be sent."""

    values: Mapping[str, Secret] = field(default_factory=dict)
    problem: str = ""


class RunSecretQuerySet(models.QuerySet["RunSecret"]):
    def keep(self, run: JobRun, secrets: Mapping[str, KeyedSecret]) -> None:
        """Seal these values for this run."""
        for name, secret in secrets.items():
            row = RunSecret(run=run, name=name, bound_to=_place(run.pk, name))
            sealed_field(row).seal(row, secret.together())
            row.save()

    def open(self, run: JobRun, digests: Mapping[str, str]) -> OpenedSecrets:
        """The values whose digests the run's plan names."""
        if not digests:
            return OpenedSecrets()
        try:
            found = {row.name: row.opened() for row in self.filter(run=run)}
        except (DecryptionError, KeysUnusable) as error:
            return OpenedSecrets(problem=f"A secret parameter cannot be read: {error}")
        for name, digest in digests.items():
            if name not in found:
                return OpenedSecrets(problem=f"The secret parameter {name} is no longer kept.")
            if found[name].digest(name) != digest:
                return OpenedSecrets(problem=f"The secret parameter {name} is not the one that was approved.")
        return OpenedSecrets({name: found[name].value for name in digests})


class RunSecret(models.Model):
    """One value, encrypted for one name in one run: moved to another row it opens no more."""

    run = models.ForeignKey("JobRun", on_delete=models.CASCADE, related_name="secrets")
    name = models.CharField(max_length=64)
    bound_to = models.CharField(max_length=100)
    sealed = StrictEncryptedTextField(row_field="bound_to")

    objects = RunSecretQuerySet.as_manager()

    class Meta:
        constraints = (models.UniqueConstraint("run", "name", name="run_secret_once"),)

    def __str__(self) -> str:
        return f"{self.name} of run {self.run_id}"

    def opened(self) -> KeyedSecret:
        """Raises DecryptionError, KeysUnusable."""
        # By what the row belongs to, not by what it says of itself.
        self.bound_to = _place(self.run_id, self.name)
        opened = sealed_field(self).open(self)
        if opened is None:
            raise DecryptionError("secret.missing", "The column is empty.")
        return KeyedSecret.read(opened)


def _place(run_id: int, name: str) -> str:
    return f"run {run_id}, parameter {name}"
