"""Definitions the tests start from."""

from automation.definitions.schema import Workflow, load_workflow

UPDATE_PACKAGE = r"""
name: update-package
summary: Update one package and restart its service
parameters:
  package: {type: string, pattern: "^[a-z0-9][a-z0-9+.-]*$", label: Package}
  service: {type: string, required: false, label: Service to restart}
targets: 'group:"web servers"'
rollout: {canary: 1, batches: [25%, 100%], max_parallel: 50, max_failures: 10%, bake: 10s, on_failure: undo}
steps:
  - name: record the installed version
    effect: read                      # read | change | destructive
    run: {bash: 'echo "version=$v" >> "$OPSPORTAL_OUTPUT"', powershell: 'exit 0'}
  - name: update
    effect: change
    become: true
    timeout: 15m
    when: 'has(steps["record the installed version"].outputs.version)'
    check: {bash: 'apt-get -s install --only-upgrade "$package"'}
    run: {bash: 'apt-get update && apt-get install -y --only-upgrade "$package"'}
    verify: {bash: '[ "$(dpkg-query -W -f "\${db:Status-Abbrev}" "$package")" = "ii " ]'}
    undo: {bash: 'apt-get install -y --allow-downgrades "$package=$OUTPUT_version"'}
"""

SMALL = """\
name: small
steps:
  - name: first
    run: {bash: 'true'}
"""


def with_parameters(declarations: str) -> Workflow:
    """The small workflow with these lines of parameters (YAML, two spaces in front of each name)."""
    return load_workflow(f"parameters:\n{declarations}\n{SMALL}")
