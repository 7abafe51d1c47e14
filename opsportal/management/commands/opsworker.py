"""`manage.py opsworker CLUSTER`: one cluster of workers."""

import os
import sys
from argparse import ArgumentParser
from uuid import uuid4

from django.conf import settings
from django.core.management.base import BaseCommand
from django_q.conf import Conf

from opsportal.parent_death import end_with_parent
from opsportal.start_checks import require_keys
from opsportal.worker_process import run_cluster


class Command(BaseCommand):
    help = "Runs one cluster of workers until SIGTERM; ends with status 75 when it must be started anew."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("cluster", choices=sorted(settings.Q_CLUSTER["ALT_CLUSTERS"]))
        parser.add_argument("--parent", type=int, help="End when this process, our parent, ends.")

    def handle(self, *, cluster: str, parent: int | None, **options: object) -> None:
        if parent is not None:
            end_with_parent(parent)
        if cluster != Conf.CLUSTER_NAME:
            # django-q2 reads its name once, while Django loads, so we start over with it in the environment.
            environment = {**os.environ, "Q_CLUSTER_NAME": cluster}
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606
        require_keys()
        worker_id = os.environ.get("OPSPORTAL_WORKER_ID") or uuid4().hex
        os.environ["OPSPORTAL_WORKER_ID"] = worker_id  # forked workers own leases under this name
        sys.exit(run_cluster(cluster, worker_id))
