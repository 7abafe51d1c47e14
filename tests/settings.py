"""The product's settings, on keys and a data directory made for this test session.

With OPSPORTAL_TEST_DATABASE=postgresql the tests run on a PostgreSQL server of their own: this names it,
`tests/conftest.py` starts it.
"""

import atexit
import os
import shutil
import tempfile

from cryptography.fernet import Fernet

from tests.postgresql import PostgreSQL

# Read before Django's settings are, so that a developer's own installation is never touched.
os.environ.pop("DATABASE_URL", None)
os.environ["OPSPORTAL_DATA"] = tempfile.mkdtemp(prefix="opsportal-test-")
os.environ["OPSPORTAL_SECRET_KEY"] = "only-for-tests-0123456789abcdefghijklmnopqrstuvwxyz"
os.environ["OPSPORTAL_ENCRYPTION_KEYS"] = Fernet.generate_key().decode()
atexit.register(shutil.rmtree, os.environ["OPSPORTAL_DATA"], ignore_errors=True)

TEST_DATABASE_SERVER = None
if os.environ.get("OPSPORTAL_TEST_DATABASE") == "postgresql":
    TEST_DATABASE_SERVER = PostgreSQL.in_new_folder()
    os.environ["DATABASE_URL"] = TEST_DATABASE_SERVER.url("opsportal")
    atexit.register(TEST_DATABASE_SERVER.remove)

from opsportal.settings import *  # noqa: E402, F403  the one star import: these are those settings

os.environ.pop("DATABASE_URL", None)  # nor is what a test starts led to the tests' own database
if TEST_DATABASE_SERVER:
    # A test is one transaction and may wait for long.
    DATABASES["default"]["OPTIONS"]["options"] = "-c idle_in_transaction_session_timeout=600s"  # noqa: F405

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick; nothing here is worth guessing
WHITENOISE_AUTOREFRESH = True  # each client of a test would else begin with a look at every static file
# All tests are one address and share a minute; those of the limits set them.
OPSPORTAL_REQUESTS_PER_MINUTE = OPSPORTAL_WRONG_TOKENS_PER_MINUTE = 0
