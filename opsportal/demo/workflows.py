"""The catalogue's runbooks as workflows, so that the demo's page of workflows has something to run."""

from __future__ import annotations

import yaml
from django.contrib.auth.models import User

from aiworkflows.planners.runbooks import load_runbooks
from automation.definitions.schema import load_workflow
from automation.models import Workflow


def publish_runbooks(*, author: User) -> None:
    """Publish each runbook as the first version of a workflow of its name."""
    for runbook in load_runbooks().values():
        text = yaml.safe_dump(dict(runbook.definition), sort_keys=False, allow_unicode=True)
        Workflow.objects.publish(load_workflow(text).canonical(), text=text, author=author)
