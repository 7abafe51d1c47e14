"""Settings. Everything that differs between installations comes from the environment or DIR/.env."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.templatetags.static import static
from django.urls import reverse_lazy

from opsportal.data_directory import data_directory, read_env_file, read_keys
from opsportal.database_url import database_settings
from opsportal.encryption_keys import live_keys
from opsportal.env_readers import EnvReader, SettingError
from opsportal.kerberos import point_kerberos
from opsportal.parts import ROLES

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = data_directory(os.environ)
env = EnvReader({**read_env_file(DATA_DIR), **os.environ})

# --- Keys. Both must be there: neither is ever derived from the other -----------------------------------
SECRET_KEY, encryption_keys = read_keys(env, DATA_DIR)
FIELD_ENCRYPTION_KEY = live_keys(encryption_keys, DATA_DIR)  # the first encrypts, all decrypt

# --- Which part of the portal this is: all of it, or one of two services that meet only over HTTP -------
ROLE = env.choice("OPSPORTAL_ROLE", ("all", "automation", "ai"))
PARTS = ROLES[ROLE]
# Where the automation service is, when this is the AI service; `opsportal.role_checks` looks at both.
AUTOMATION_URL = env.text("OPSPORTAL_AUTOMATION_URL").rstrip("/")
AUTOMATION_TOKEN = env.secret("OPSPORTAL_AUTOMATION_TOKEN")

# --- Where we are reached --------------------------------------------------------------------------------
DEBUG = env.boolean("OPSPORTAL_DEBUG", default=False)
PORT = env.integer("OPSPORTAL_PORT", PARTS.port, at_least=1, at_most=65535)
PUBLIC_URL = env.text("OPSPORTAL_PUBLIC_URL").rstrip("/")
public = urlsplit(PUBLIC_URL)
if PUBLIC_URL and (public.scheme not in {"http", "https"} or not public.hostname):
    raise SettingError(f"OPSPORTAL_PUBLIC_URL is {PUBLIC_URL!r}: write it like https://portal.example.org.")
# The loopback names are always served: the supervisor's own health checks come by them.
LOOPBACK = ["127.0.0.1", "localhost", "[::1]"]
ALLOWED_HOSTS = [*LOOPBACK, *env.words("OPSPORTAL_ALLOWED_HOSTS"), *filter(None, [public.hostname])]
ZONE = env.text("OPSPORTAL_ZONE")

# The rules that say how many people must agree to which runs.
OPSPORTAL_POLICY = env.path("OPSPORTAL_POLICY", BASE_DIR / "automation/policy/default.yaml")

# --- Kerberos logins on Windows targets ------------------------------------------------------------------
point_kerberos(env, DATA_DIR, os.environ)

# How often every target is tested, and asked what it is; 0 for never.
OPSPORTAL_TEST_MINUTES = env.integer("OPSPORTAL_TEST_MINUTES", 60, at_most=365 * 24 * 60)
OPSPORTAL_FACTS_MINUTES = env.integer("OPSPORTAL_FACTS_MINUTES", 24 * 60, at_most=365 * 24 * 60)

# How much of the beginning of each stream of a script is kept, in MiB; of what is longer, its last MiB too.
OPSPORTAL_OUTPUT_MEGABYTES = env.integer("OPSPORTAL_OUTPUT_MEGABYTES", 4, at_least=1, at_most=1024)

# How often one token or person may ask, and one address send tokens nobody knows; 0 for no limit. Counted in
# each web process for itself.
OPSPORTAL_REQUESTS_PER_MINUTE = env.integer("OPSPORTAL_REQUESTS_PER_MINUTE", 3000, at_most=10**6)
OPSPORTAL_WRONG_TOKENS_PER_MINUTE = env.integer("OPSPORTAL_WRONG_TOKENS_PER_MINUTE", 30, at_most=10**6)
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 10_000},  # counters are not thrown out by a few hundred addresses
    }
}

# --- Parts -----------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # its templates before Django's own
    "opsportal.admin_config.PortalAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    *PARTS.apps,
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    *PARTS.middleware,
    "opsportal.security_headers.SecurityHeadersMiddleware",
    "opsportal.nul.RefuseNul",
    "opsportal.sign_in.FragmentsForStrangers",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "opsportal.urls"
ASGI_APPLICATION = "opsportal.asgi.application"
# Inside one process: what goes from process to process goes by the database. A socket that falls behind by
# `capacity` messages reads the rest from the rows.
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels.layers.InMemoryChannelLayer",
        "CONFIG": {"capacity": 64, "group_expiry": 10 * 365 * 24 * 3600},  # a page may stay open for long
    }
}
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "libraries": dict(PARTS.libraries or {}),
        },
    }
]
REST_FRAMEWORK = {
    "EXCEPTION_HANDLER": "automation.api.problems.exception_handler",
    "DEFAULT_AUTHENTICATION_CLASSES": list(PARTS.authentication),
    "DEFAULT_METADATA_CLASS": None,  # OPTIONS would describe fields to whoever asks
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": list(PARTS.throttles),
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
# The description of the API; `opsportal.openapi` writes the operations themselves.
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.0",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [],
    "SCHEMA_PATH_PREFIX": "/api/v1/",
}

# --- Database and queue ----------------------------------------------------------------------------------
DATABASES = {"default": database_settings(env.secret("DATABASE_URL"), DATA_DIR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


def queue_cluster(*, workers: int) -> dict[str, int]:
    """A cluster of its own: no task waits, already fetched, behind a busy worker of another cluster."""
    return {"workers": workers, "queue_limit": workers}


# django-q2 only carries "look at run N"; rows and leases of our own say what is done and by whom.
# `opsportal.checks` refuses values that would run a task twice.
Q_CLUSTER: dict[str, Any] = {
    "name": "opsportal",
    "orm": "default",
    "broker_class": "opsportal.queue_broker.QuietBroker",
    "bulk": 1,
    "poll": 0.05,
    "timeout": 3600,  # a backstop: every piece of work has an earlier deadline of its own
    "retry": 10800,
    "max_attempts": 1,
    "ack_failures": True,
    "catch_up": False,
    "scheduler": False,  # schedules are rows of our own; django-q2's carry pickles
    "save_limit": 20,
    "guard_cycle": 0.5,
    "recycle": 200,
    "ALT_CLUSTERS": {
        "control": queue_cluster(workers=env.integer("OPSPORTAL_CONTROL_WORKERS", 2, at_least=1, at_most=64)),
        "execution": queue_cluster(
            workers=env.integer("OPSPORTAL_EXECUTION_WORKERS", 2, at_least=1, at_most=64)
        ),
    },
}
Q_CLUSTER |= queue_cluster(workers=2)

# --- Security of the pages -------------------------------------------------------------------------------
HTTPS = public.scheme == "https"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SAMESITE = "Lax"
if HTTPS:
    SESSION_COOKIE_NAME = "__Host-session"
    CSRF_COOKIE_NAME = "__Host-csrf"
CSRF_FAILURE_VIEW = "opsportal.error_pages.csrf_failure"
CSRF_TRUSTED_ORIGINS = [f"{public.scheme}://{public.netloc}"] if PUBLIC_URL else []
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # asked for by machines, behind the proxy
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
LOGIN_URL, LOGIN_REDIRECT_URL = "sign-in", "overview"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]


# --- Administration pages --------------------------------------------------------------------------------
def admin_section(title: str, *entries: tuple[str, str, str]) -> dict[str, Any]:
    """A part of the sidebar: the entries' titles, symbols and lists, of the apps that our role has."""
    return {
        "title": title,
        "items": [
            {"title": name, "icon": symbol, "link": reverse_lazy(f"admin:{rows}_changelist")}
            for name, symbol, rows in entries
            if rows.partition("_")[0] in {"auth", *PARTS.apps}
        ],
    }


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "OpsPortal",
    "SITE_HEADER": "OpsPortal",
    "SITE_SUBHEADER": "Administration",
    "SITE_SYMBOL": "terminal",
    "SITE_URL": "/",
    "ENVIRONMENT": "opsportal.admin_site.frozen_badge",
    "SHOW_VIEW_ON_SITE": False,
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("img/icon.svg")}
    ],
    "STYLES": [lambda request: static("css/admin.css")],
    "SIDEBAR": {
        "navigation": [
            admin_section(
                "Inventory",
                ("Targets", "dns", "automation_target"),
                ("Groups", "workspaces", "automation_group"),
                ("Host keys", "fingerprint", "automation_hostkey"),
                ("Certificate authorities", "verified", "automation_hostcertificateauthority"),
                ("Credentials", "key", "credentials_credential"),
                ("Defaults of environments", "domain", "automation_environmentdefault"),
            ),
            admin_section(
                "Records",
                ("Workflows", "schema", "automation_workflow"),
                ("Workflow versions", "history", "automation_workflowversion"),
                ("Runs", "play_circle", "automation_jobrun"),
                ("Learned choices", "school", "aiworkflows_learnedchoice"),
            ),
            admin_section(
                "Access",
                ("Users", "group", "auth_user"),
                ("Tokens", "vpn_key", "automation_apitoken"),
            ),
        ]
    },
    "COLORS": {
        # The blue of the other pages, dark enough for white text on it.
        "primary": {
            "50": "#eef5fc",
            "100": "#d9e8f8",
            "200": "#b5d2f1",
            "300": "#86b5e7",
            "400": "#82b8f0",
            "500": "#5b9fe6",
            "600": "#0f5fb0",
            "700": "#0d4f93",
            "800": "#0e4177",
            "900": "#103760",
            "950": "#0b2340",
        }
    },
}

# --- Static files, language, logs ------------------------------------------------------------------------
STATIC_URL = "static/"
STATICFILES_DIRS = [path for path in [BASE_DIR / "static"] if path.is_dir()]
WHITENOISE_USE_FINDERS = (
    True  # served from where the packages keep them: no build step before the first start
)
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
LOG_LEVEL = env.choice("OPSPORTAL_LOG_LEVEL", ("INFO", "DEBUG", "WARNING", "ERROR"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"masked": {"()": "opsportal.log_lines.MaskSecrets"}},
    "formatters": {"line": {"()": "opsportal.log_lines.LineFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["masked"]}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # These come with handlers of their own; everything goes through ours, once.
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.server": {"handlers": [], "level": "INFO", "propagate": True},
        "django-q": {"handlers": [], "level": "WARNING", "propagate": True},  # else three lines a task
        "uvicorn": {"handlers": [], "level": "INFO", "propagate": True},
        "uvicorn.access": {"level": "WARNING"},  # addresses with their queries are a place for secrets
        "paramiko": {"handlers": [], "level": "WARNING", "propagate": True},
        "httpx": {"handlers": [], "level": "WARNING", "propagate": True},  # its lines hold whole URLs
    },
}
