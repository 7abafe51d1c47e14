"""Headers and cookies of every answer."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from opsportal.data_directory import prepare
from tests.opsportal.portal import MANAGE, product_environment


def setting(name: str, data: Path, **environment: str) -> str:
    """A setting as the product has it in this environment."""
    prepare(data, {})
    code = f"from django.conf import settings; print(settings.{name})"
    result = subprocess.run(
        [sys.executable, MANAGE, "shell", "--no-imports", "--command", code],
        env=product_environment(data, **environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return result.stdout.strip()


def test_pages_may_load_from_the_portal_only_and_not_be_framed(client: Client) -> None:
    headers = client.get("/healthz").headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


def test_static_files_are_served_without_a_build_step(client: Client) -> None:
    response = client.get("/static/admin/css/base.css")
    assert response.status_code == 200
    assert b"body" in b"".join(response)


@pytest.mark.django_db
def test_the_queue_s_own_pages_are_gone(admin_client: Client) -> None:
    assert admin_client.get("/admin/").status_code == 200
    assert admin_client.get("/admin/django_q/").status_code == 404


@pytest.mark.django_db
def test_an_unsafe_method_without_a_csrf_token_is_refused() -> None:
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/admin/login/", {"username": "x"}).status_code == 403


def test_debug_is_off() -> None:
    assert settings.DEBUG is False


def test_an_https_address_makes_cookies_and_transport_strict(tmp_path: Path) -> None:
    address = {"OPSPORTAL_PUBLIC_URL": "https://portal.example.org"}
    names = "SESSION_COOKIE_SECURE, settings.SESSION_COOKIE_NAME, settings.SECURE_SSL_REDIRECT"
    assert setting(names, tmp_path, **address) == "True __Host-session True"
    assert "portal.example.org" in setting("ALLOWED_HOSTS", tmp_path, **address)


def test_settings_that_cannot_be_used_are_told_in_one_sentence(tmp_path: Path) -> None:
    prepare(tmp_path, {})
    result = subprocess.run(
        [sys.executable, MANAGE, "check"],
        env=product_environment(tmp_path, OPSPORTAL_PORT="none"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1
    assert result.stderr.startswith(
        "OpsPortal cannot start. OPSPORTAL_PORT is 'none': give it a whole number"
    )
    assert "Traceback" not in result.stderr


def test_unsafe_settings_refuse_the_start(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, MANAGE, "up", "--data", tmp_path],
        env=product_environment(tmp_path, OPSPORTAL_ALLOWED_HOSTS="*"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1
    assert "opsportal.E011" in result.stderr
