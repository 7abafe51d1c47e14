"""`manage.py create_user NAME --role ROLE --password-stdin`."""

import sys
from argparse import ArgumentParser

from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from automation.roles import ROLES


class Command(BaseCommand):
    help = "Makes a user with a role. Without --password-stdin nobody can log in as that user; tokens work."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--role", required=True, choices=list(ROLES))
        parser.add_argument(
            "--password-stdin", action="store_true", help="Read the password from one line of stdin."
        )

    def handle(self, *, name: str, role: str, password_stdin: bool, **options: object) -> None:
        password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
        user = User(username=name)
        try:
            user.full_clean(exclude=["password"])
            if password is not None:
                validate_password(password, user)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        user.set_password(password)
        with transaction.atomic():
            user.save()
            user.groups.add(Group.objects.get(name=role))
        self.stdout.write(f"Made user {name} with the role {role}.")
