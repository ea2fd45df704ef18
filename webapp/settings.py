"""Settings of the portal: every deployment choice is one environment variable, read here only.

| variable | default | what |
| --- | --- | --- |
| ``GRAFT_DATA_DIR`` | ``var/`` in the project | database, broker, files and working directories |
| ``DATABASE_URL`` | SQLite in the data folder | PostgreSQL for more than one host |
| ``REDIS_URL`` | embedded Valkey on a unix socket | any Redis or Valkey |
| ``STORAGE_URL`` | ``files/`` in the data folder | ``file:///…`` or ``s3://bucket/prefix`` |
| ``GRAFT_SECRET_KEY`` | made once, kept in the data folder | signs, encrypts; one for all hosts |
| ``GRAFT_HOSTS`` | loopback names | host names the portal answers to, comma-separated |
| ``GRAFT_HTTPS`` | off | ``1``: secure cookies, HSTS, redirects (behind a TLS proxy) |
| ``GRAFT_DEBUG`` | off | ``1``: Django's debug pages |
| ``GRAFT_LEASE_S`` | 20 | seconds without a heartbeat after which a job counts as orphaned |
| ``GRAFT_FEATURE_CACHE_BYTES`` | 10 GiB | computed features that a host keeps |
| ``TZ`` | UTC | time zone of the times on the pages |
| ``HF_ENDPOINT`` | the public Hub | a mirror's address |

The table in ``docs/operations.md`` has them all.
"""

from __future__ import annotations

import os
from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF

from webapp.secret_key import kept_key

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("GRAFT_DATA_DIR") or BASE_DIR / "var").resolve()
WORK_DIR = DATA_DIR / "work"
UPLOAD_DIR = DATA_DIR / "uploads"
#: Computed features that a host keeps; what was used longest ago goes first.
FEATURE_CACHE_BYTES = int(os.environ.get("GRAFT_FEATURE_CACHE_BYTES") or 10 << 30)


def _flag(name: str) -> bool:
    return os.environ.get(name, "").lower() in {"1", "true", "yes", "on"}


DEBUG = _flag("GRAFT_DEBUG")
HTTPS = _flag("GRAFT_HTTPS")
SECRET_KEY = os.environ.get("GRAFT_SECRET_KEY") or kept_key(DATA_DIR / "secret_key")
ALLOWED_HOSTS = [
    host for host in os.environ.get("GRAFT_HOSTS", "localhost,127.0.0.1,[::1]").split(",") if host
]
CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS if HTTPS and host != "*"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "csp",
    "django_filters",
    "django_htmx",
    "django_rq",
    "template_partials",
    "axes",
    "webapp.accounts",
    "webapp.jobs",
    "webapp.datasets",
    "webapp.checkpoints",
    "webapp.runs",
    "webapp.heads",
    "webapp.ensembles",
    "webapp.predictions",
    "webapp.playground",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "webapp.accounts.middleware.SignedInMiddleware",
    "webapp.accounts.middleware.TeamMiddleware",
    "webapp.queue_pages.QueuePagesMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "webapp.urls"
WSGI_APPLICATION = "webapp.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "webapp.accounts.context.portal",
            ],
            "builtins": ["webapp.templatetags.graft"],
        },
    }
]

# --- Database: the truth --------------------------------------------------------------------------
DATABASES = {
    "default": dj_database_url.config(
        default=f"sqlite:///{DATA_DIR / 'graft.sqlite3'}", conn_max_age=60
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Several processes write. IMMEDIATE takes the write lock at BEGIN, where SQLite can wait for
    # it; a deferred transaction that upgrades fails at once with "database is locked".
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }

# --- Broker: a hint -------------------------------------------------------------------------------
BROKER_SOCKET = DATA_DIR / "broker" / "valkey.sock"
EMBEDDED_BROKER = not os.environ.get("REDIS_URL")
REDIS_URL = os.environ.get("REDIS_URL") or f"unix://{BROKER_SOCKET}"
#: What a host has decides which queues its workers serve; ``io`` and ``interactive`` never wait
#: behind training.
QUEUES = ["interactive", "io", "cpu", "gpu"]
RQ_QUEUES = {name: {"URL": REDIS_URL, "DEFAULT_TIMEOUT": -1} for name in QUEUES}
LEASE_S = float(os.environ.get("GRAFT_LEASE_S", "20"))

# --- Files ----------------------------------------------------------------------------------------
STORAGE_URL = os.environ.get("STORAGE_URL") or f"file://{DATA_DIR / 'files'}"
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "webapp" / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
#: Largest upload of one file, bytes.
# A table may have 1,000 columns, each with a field that says what it is used as.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1_100
UPLOAD_LIMIT = int(os.environ.get("GRAFT_UPLOAD_LIMIT", 20 * 2**30))

# --- People ---------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "accounts:sign_in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "accounts:sign_in"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "sesame.backends.ModelBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
SESAME_ONE_TIME = True
SESAME_MAX_AGE = 24 * 3600
SESAME_TOKEN_NAME = "token"
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 1  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
# What authenticate() calls it, or failures are counted under no name and lock nobody out.
AXES_USERNAME_FORM_FIELD = "username"
AXES_LOCKOUT_CALLABLE = "webapp.errors.locked_out"
CSRF_FAILURE_VIEW = "webapp.errors.csrf_failure"

# --- Languages ------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = os.environ.get("TZ") or "UTC"

# --- Safety ---------------------------------------------------------------------------------------
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "media-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "manifest-src": [SELF],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": os.environ.get("GRAFT_LOG_LEVEL", "WARNING")},
}
