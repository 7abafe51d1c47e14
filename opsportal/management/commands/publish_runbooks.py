"""`manage.py publish_runbooks`: the catalogue's runbooks on the page of workflows."""

from argparse import ArgumentParser

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from opsportal.runbooks import publish_runbooks


class Command(BaseCommand):
    help = "Publishes the planner's runbooks as workflows, those that are not there yet."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--author", required=True, help="User in whose name they are published.")
        parser.add_argument(
            "--update", action="store_true", help="Also a new version of each whose newest differs."
        )

    def handle(self, *, author: str, update: bool, **options: object) -> None:
        users = get_user_model().objects
        try:
            person = users.get_by_natural_key(author)
        except users.model.DoesNotExist:
            raise CommandError(f"There is no user {author!r}.") from None
        published = publish_runbooks(author=person, update=update)
        if published.new:
            self.stdout.write(f"Published: {', '.join(published.new)}.")
        if published.differing:
            names = ", ".join(published.differing)
            self.stdout.write(f"Left as they are, for they differ: {names}. A new version of each: --update")
        if published.same:
            self.stdout.write(f"There already: {len(published.same)}.")
