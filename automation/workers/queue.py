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


def offer_again(cluster: str) -> int:
    """Give tasks that were fetched and not finished to whoever asks next; how many there were.

    Called when a worker command starts: the one before may have been killed with fetched tasks, which nobody
    else would see for hours. Tasks that another command still works on are offered twice; that is harmless,
    a task only looks at what is due.
    """
    now = timezone.now()
    count: int = OrmQ.objects.filter(key=cluster, lock__gt=now).update(lock=now)
    return count
