"""The product's settings, on keys and a data directory made for this test session."""

import atexit
import os
import shutil
import tempfile

from cryptography.fernet import Fernet

# Read before Django's settings are, so that a developer's own installation is never touched.
os.environ.pop("DATABASE_URL", None)
os.environ["OPSPORTAL_DATA"] = tempfile.mkdtemp(prefix="opsportal-test-")
os.environ["OPSPORTAL_SECRET_KEY"] = "only-for-tests-0123456789abcdefghijklmnopqrstuvwxyz"
os.environ["OPSPORTAL_ENCRYPTION_KEYS"] = Fernet.generate_key().decode()
atexit.register(shutil.rmtree, os.environ["OPSPORTAL_DATA"], ignore_errors=True)

from opsportal.settings import *  # noqa: E402, F403  the one star import: these are those settings

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick; nothing here is worth guessing
