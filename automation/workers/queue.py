"""The one door into the queue."""

from typing import Literal

from django.utils import timezone
from django_q.models import OrmQ

from automation.workers.task_packages import pack

Cluster = Literal["control", "execution"]


def enqueue(cluster: Cluster, task: str, number: int) -> None:
    """Ask a cluster to run `automation.tasks.<task>(number)`, at least once, soon after the commit.

    The row belongs to the current transaction: state change and message are stored together or not at all.
    Raises ValueError for an unknown task or an impossible number.
    """
    OrmQ.objects.create(key=cluster, payload=pack(task, number), lock=timezone.now())
