"""`manage.py unfreeze`: a restored portal goes to work."""

from django.core.management.base import BaseCommand

from automation.models import Installation


class Command(BaseCommand):
    help = (
        "Ends the freeze of a restored portal: workers ask for unknown ends, and new runs may be submitted."
    )

    def handle(self, **options: object) -> None:
        if reason := Installation.frozen():
            Installation.unfreeze()
            self.stdout.write(f"Unfrozen. It was: {reason}")
        else:
            self.stdout.write("It is not frozen.")
