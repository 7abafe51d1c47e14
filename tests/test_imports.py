"""Who may import whom. The rules are told in words once, in RULES; the code is read, not run."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("opsportal", "credentials", "automation", "aiworkflows")

# Modules below the first name must not import modules below any of the others.
RULES = {
    "credentials": ("opsportal", "automation", "aiworkflows"),
    "automation": ("opsportal", "aiworkflows"),
    "aiworkflows": ("opsportal", "credentials", "automation"),  # it speaks HTTP, by its automation_client
    "opsportal.commandline": ("django", "rest_framework", "automation", "credentials"),  # HTTP alone
    "automation.libraries": ("django", "rest_framework", "django_q", "channels", "automation", "credentials"),
    "automation.definitions": (
        "django",
        "rest_framework",
        "django_q",
        "channels",
        "automation",
        "credentials",
    ),
    "automation.models": ("automation.workers", "automation.api", "automation.consumers", "django_q"),
    "automation.workers": ("automation.api", "automation.consumers"),
    "automation.policy": ("automation.workers", "automation.api"),
    # Its process has none of their tables.
    "opsportal.ai_role": (
        "credentials",
        "automation.models",
        "automation.api",
        "automation.workers",
        "django_q",
    ),
    "credentials.secret": ("django",),
    "credentials.certificates": ("django",),
}
# What a rule above would forbid and is meant.
ALLOWED = {
    "automation.libraries": ("automation.libraries", "credentials.secret", "credentials.certificates"),
    "automation.definitions": ("automation.definitions", "credentials.secret"),
    # How a workflow's text is read, which needs nothing but a YAML parser.
    "opsportal.commandline": ("automation.definitions.errors", "automation.definitions.loading"),
}
# Where Django itself asks for it: an app is loaded before its models may be.
LOADED_EARLY = ("automation.apps",)


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def our_files() -> list[Path]:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    return sorted(file for file in files if "migrations" not in file.parts)


def below(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def imported_names(node: ast.stmt) -> Iterator[str]:
    """Full names, so that `from automation import models` counts as automation.models."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def violations(source: str, importer: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield f"{importer}: line {node.lineno} imports relatively"
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        for name in imported_names(node):
            for package, forbidden in RULES.items():
                if not below(importer, package) or any(below(name, ok) for ok in ALLOWED.get(package, ())):
                    continue
                if any(below(name, other) for other in forbidden):
                    yield f"{importer}: line {node.lineno} imports {name}, forbidden below {package}"


def deferred_imports(source: str) -> Iterator[int]:
    """Lines of imports inside of functions and classes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    yield inner.lineno


def test_every_package_imports_only_what_it_may() -> None:
    found = [text for file in our_files() for text in violations(file.read_text("utf-8"), module_name(file))]
    assert found == []


def test_no_import_is_deferred_to_hide_a_cycle() -> None:
    found = [
        f"{module_name(file)}: line {line}"
        for file in our_files()
        if module_name(file) not in LOADED_EARLY
        for line in deferred_imports(file.read_text("utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("automation.models.runs", "from automation.workers import advance"),
        ("automation.models.runs", "from automation import workers"),
        ("automation.libraries.linux_ssh", "from django.conf import settings"),
        ("automation.libraries.linux_ssh", "from automation.models import Target"),
        ("automation.definitions.schema", "import django.db"),
        ("automation.tasks", "import opsportal.settings"),
        ("aiworkflows.models", "from automation.models import JobRun"),
        ("aiworkflows.planners.model", "from credentials.models import Credential"),
        ("credentials.secret", "from django.conf import settings"),
        ("automation.tasks", "from .workers import queue"),
        ("opsportal.commandline.looking", "from automation.models import JobRun"),
    ],
)
def test_the_rules_catch(importer: str, source: str) -> None:
    assert list(violations(source, importer))


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("automation.libraries.linux_ssh", "from credentials.secret import Secret"),
        ("automation.libraries.linux_ssh", "from automation.libraries import errors"),
        ("automation.workers.advance", "from automation.models import JobRun"),
        ("automation.models.inventory", "from credentials.models import Credential"),
        ("opsportal.urls", "from automation.api import urls"),
    ],
)
def test_the_rules_let_pass(importer: str, source: str) -> None:
    assert not list(violations(source, importer))


def test_a_deferred_import_is_found() -> None:
    assert list(deferred_imports("def f():\n    import os\n")) == [2]
