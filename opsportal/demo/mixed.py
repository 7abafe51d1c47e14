"""One run on Linux and Windows: a workflow of the demo's own, which anybody there can start again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_types import Run
from automation.definitions.schema import load_workflow
from automation.models import Workflow
from opsportal.demo import people, windows
from opsportal.demo.hosts import ENVIRONMENT
from opsportal.demo.paper import Paper

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

NAME = "restart-web-service"
TARGETS = f"env:{ENVIRONMENT}"
TEXT = f"""\
name: {NAME}
summary: Restart the web service of Linux and Windows targets (nginx, W3SVC)
targets: {TARGETS}
rollout: {{canary: 0, batches: [100%]}}
steps:
  - name: look
    effect: read
    run:
      bash: |
        echo "state=$(systemctl is-active nginx)" >>"$OPSPORTAL_OUTPUT"
      powershell: |
        $found = Get-Service -Name W3SVC
        Add-Content -Path $env:OPSPORTAL_OUTPUT -Value "state=$($found.Status)"
  - name: restart
    effect: change
    become: true
    run:
      bash: |
        echo "nginx is $OUTPUT_state, restarting it"
        systemctl restart nginx || exit
        echo "nginx has been restarted"
      powershell: |
        Write-Output "W3SVC is $OUTPUT_state, restarting it"
        Restart-Service -Name W3SVC
        Start-Sleep -Milliseconds 500
        Write-Output "W3SVC has been restarted"
    verify:
      bash: |
        systemctl is-active --quiet nginx
      powershell: |
        if ((Get-Service -Name W3SVC).Status -ne 'Running') {{ exit 1 }}
"""


def publish_mixed(*, author: AbstractBaseUser) -> None:
    """Let the workflow be among the portal's."""
    Workflow.objects.publish(load_workflow(TEXT).canonical(), text=TEXT, author=author)


def start_mixed(operator: AutomationClient, paper: Paper, address: str) -> Run:
    """Submit it, and tell what it does where."""
    paper.heading("Linux and Windows in one run")
    run = operator.submit(NAME, targets=TARGETS)
    platforms = run.blast_radius["by_platform"]
    paper.paragraph(
        f"{people.OPERATOR} starts the workflow {NAME} on {TARGETS}: {platforms['linux']} practice hosts "
        f"by SSH and {windows.NAME} by WinRM. That one is simulated: {windows.WHAT_IT_IS}. "
        "A person's change needs no approval here."
    )
    paper.line(f"  {address}runs/{run.id}/plan/")
    return run
