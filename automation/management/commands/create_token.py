"""`manage.py create_token NAME --user USER --kind KIND --scope S …`: the token, once, alone on stdout."""

from argparse import ArgumentParser
from datetime import timedelta

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from automation.definitions.durations import parse_duration
from automation.models import ApiToken
from automation.models.access import TOKEN_DAYS, may
from automation.roles import SCOPES


class Command(BaseCommand):
    help = "Makes an API token and prints it, once. It is stored as a hash and cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="What the token is for.")
        parser.add_argument(
            "--user", required=True, help="Its owner; it never allows more than the owner may."
        )
        parser.add_argument("--kind", required=True, choices=ApiToken.Kind.values)
        parser.add_argument(
            "--scope",
            required=True,
            action="extend",
            nargs="+",
            dest="scopes",
            metavar="SCOPE",
            help=", ".join(sorted(SCOPES)),
        )
        parser.add_argument(
            "--expires", default=f"{TOKEN_DAYS}d", help=f"30d, 12h, …; at most {TOKEN_DAYS}d."
        )

    def handle(
        self, *, name: str, user: str, kind: str, scopes: list[str], expires: str, **options: object
    ) -> None:
        owner = User.objects.filter(username=user, is_active=True).first()
        if owner is None:
            raise CommandError(f"There is no active user {user!r}. Make one with create_user.")
        try:
            lasts = timedelta(seconds=parse_duration(expires))
            if not timedelta(0) < lasts <= timedelta(days=TOKEN_DAYS):
                raise ValueError(f"A token lasts at most {TOKEN_DAYS}d, and longer than nothing.")
            if beyond := sorted(scope for scope in set(scopes) & SCOPES if not may(owner, scope)):
                raise ValueError(f"The roles of {user} do not allow {beyond[0]}.")
            _, text = ApiToken.objects.issue(
                name=name, user=owner, kind=kind, scopes=scopes, expires_at=timezone.now() + lasts
            )
        except ValueError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(text)
