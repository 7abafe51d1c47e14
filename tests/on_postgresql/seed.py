"""Fills a new site in one process. Runs inside `manage.py shell`, which has Django set up."""

from __future__ import annotations

import io
import sys

from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import User
from django.core.management import call_command

from automation.models import ApiToken


def seed(inventory: str) -> None:
    """Make the tables, import the inventory with its keys trusted, and print an operator's token."""
    call_command("migrate", verbosity=0)
    call_command("import_inventory", inventory, trust_host_keys=True, stdout=io.StringIO())
    person = User.objects.create_user("olga")
    person.groups.add(Role.objects.get(name="operator"))
    scopes = ["runs:submit", "runs:read"]
    _, token = ApiToken.objects.issue(name="olga", user=person, kind=ApiToken.Kind.PERSON, scopes=scopes)
    sys.stdout.write(token)
