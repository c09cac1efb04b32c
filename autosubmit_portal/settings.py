"""Settings of Autosubmit Portal, each read from the environment (or from `.env`); `.env.example` explains them.

The defaults are safe and need no environment: a laptop gets SQLite and a secret key of its own under PORTAL_HOME.
A checkout and an installed wheel differ in three places: templates, `.env` and the default of PORTAL_HOME.
"""

import os
import re
import secrets
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

from autosubmit_portal import privacy
from autosubmit_portal.access.sign_in import claims, providers

# The folder of our packages: the checkout, or where pip has installed the wheel.
BASE_DIR = Path(__file__).resolve().parent.parent
TEMPLATES_OF_WHEEL = BASE_DIR / "autosubmit_portal" / "templates"
IS_INSTALLED = TEMPLATES_OF_WHEEL.is_dir()
# What the user types before the name of a command.
COMMAND_LINE = "autosubmit-portal" if IS_INSTALLED else "manage.py"


def get_data_folder() -> Path:
    """Return where the programs of this account keep their data, as the XDG base directory specification says."""
    return Path(os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"))


DEFAULT_HOME = get_data_folder() / "autosubmit-portal" if IS_INSTALLED else BASE_DIR / "var"
# pip removes what lies beside the packages with them: an installed portal has `.env` in its home.
ENV_FILE = (Path(os.environ.get("PORTAL_HOME") or DEFAULT_HOME) if IS_INSTALLED else BASE_DIR) / ".env"
environ.Env.read_env(ENV_FILE)


class Environment(FileAwareMapping):
    """The environment. A secret need not stand in it: NAME_FILE is the path of a file that holds the value of NAME."""

    def __getitem__(self, key: str) -> str:
        """Return the value, without the line end that editors leave in files."""
        try:
            return str(super().__getitem__(key)).strip()  # type: ignore[no-untyped-call]
        except OSError as error:
            raise ImproperlyConfigured(f"{key}_FILE cannot be read: {error}") from error


env = environ.Env()
env.ENVIRON = Environment()  # type: ignore[no-untyped-call,assignment]


def make_secret_key(file: Path) -> str:
    """Return the key kept in `file`, made (mode 0600) on first use so that no default key exists."""
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        pass
    try:
        file.touch(mode=0o600, exist_ok=False)
    except FileExistsError:  # another process of the portal was faster
        return file.read_text().strip()
    file.write_text(secrets.token_urlsafe(64))
    return file.read_text().strip()


def read_kept_text(file: Path) -> str:
    """Return what an administrator keeps in `file`; blank without it."""
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return ""


def parse_rules(name: str, text: str) -> claims.Rules:
    """Return what the claims of an identity provider grant; a mistake stops the start and names the setting."""
    try:
        return claims.read_rules(text)
    except claims.InvalidRules as error:
        raise ImproperlyConfigured(f"{name}: {error}") from error


def parse_umask(name: str, text: str) -> int:
    """Return the umask that a setting says; raise ImproperlyConfigured for what is none."""
    if not re.fullmatch("0?[0-7]{3}", text):
        raise ImproperlyConfigured(f"{name}={text} is no umask. Write it like 0022.")
    return int(text, 8)


def parse_path(text: str) -> str | None:
    """Return the path that the portal is served under, without a slash at its end; None for a whole host."""
    if not re.fullmatch(r"(/(?!\.{1,2}(/|$))[\w.~-]+)*/?", text, re.ASCII):
        raise ImproperlyConfigured(f"PORTAL_PATH={text} is no path. Write it like /portal/, without ? and #.")
    return text.rstrip("/") or None


PORTAL_HOME = Path(env.str("PORTAL_HOME", default=str(DEFAULT_HOME))).resolve()
FOUND_UMASK = privacy.close_to_others(PORTAL_HOME)  # before anything is opened
# A store may be shared by a group: Autosubmit's commands keep the umask that the portal was started with.
COMMANDS_UMASK = parse_umask("PORTAL_COMMANDS_UMASK", env.str("PORTAL_COMMANDS_UMASK", default=f"{FOUND_UMASK:04o}"))
# Where commands run, and where they ran before there were agents.
SPOOL_DIRECTORY, ACTIONS_DIRECTORY = PORTAL_HOME / "spool", PORTAL_HOME / "actions"
# The sockets of the gateway: of one that somebody else runs, or of our own, which workers start when they need it.
OWN_GATEWAY_DIRECTORY = PORTAL_HOME / "gateway"
GATEWAY_DIRECTORY = Path(env.str("PORTAL_GATEWAY", default="") or OWN_GATEWAY_DIRECTORY)
STARTS_GATEWAY = not env.str("PORTAL_GATEWAY", default="")
# What the libraries of Autosubmit keep and can make again.
CACHES_DIRECTORY = PORTAL_HOME / "caches"
# The output of ended actions is removed when it is older, or the oldest when all together takes more room.
FAILURE_REASONS = Path(text) if (text := env.str("PORTAL_FAILURE_REASONS", default="")) else None

OUTPUT_DAYS = env.int("PORTAL_OUTPUT_DAYS", default=180)
OUTPUT_GIGABYTES = env.float("PORTAL_OUTPUT_GIGABYTES", default=10.0)

DEBUG = env.bool("PORTAL_DEBUG", default=False)
SECRET_KEY = env.str("PORTAL_SECRET_KEY", default="") or make_secret_key(PORTAL_HOME / "secret_key")
ALLOWED_HOSTS = env.list("PORTAL_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("PORTAL_TRUSTED_ORIGINS", default=[])
# The path that Django puts before every address. web.py takes it off the address of a request.
FORCE_SCRIPT_NAME = parse_path(env.str("PORTAL_PATH", default="/"))
PORTAL_PATH = f"{FORCE_SCRIPT_NAME or ''}/"
# The sessions of others on the same host are not ours, nor do they get ours.
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = FORCE_SCRIPT_NAME or "/"
COOKIE_SUFFIX = (FORCE_SCRIPT_NAME or "").replace("/", "_")
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"sessionid{COOKIE_SUFFIX}", f"csrftoken{COOKIE_SUFFIX}"
MESSAGE_STORAGE = "autosubmit_portal.console.parts.messages.MessageStorage"

# Origins of other sites whose pages may use the API, with a token: never with the session of the console.
CORS_ALLOWED_ORIGINS = env.list("PORTAL_CORS_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/(v4(/|$)|healthz/?$)"
CORS_ALLOW_METHODS = ["GET", "HEAD", "POST", "PATCH", "DELETE"]
CORS_ALLOW_HEADERS = [
    *("accept", "authorization", "content-type", "if-none-match", "if-range", "range"),
    *("idempotency-key", "prefer"),
]
CORS_EXPOSE_HEADERS = [
    *("ETag", "Location", "Link", "Retry-After", "Preference-Applied", "Idempotent-Replayed"),
    *("Content-Range", "WWW-Authenticate"),
]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "axes",
    "corsheaders",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "autosubmit_portal.apps.PortalConfig",
    "autosubmit_portal.access",
    "autosubmit_portal.audit",
    "autosubmit_portal.workers",
    "experiments",
    "jobs",
    "django_q",  # last: our qcluster replaces its own
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "autosubmit_portal.headers.HeadersMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    *(["corsheaders.middleware.CorsMiddleware"] if CORS_ALLOWED_ORIGINS else []),
    "autosubmit_portal.api.error_answers.ErrorAnswersMiddleware",
    "autosubmit_portal.api.http.compression.CompressionMiddleware",
    "autosubmit_portal.console.stamps.UnchangedMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "autosubmit_portal.localization.LocalizationMiddleware",
    "autosubmit_portal.audit.origin.OriginMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "autosubmit_portal.access.sign_in.second_factor.SecondFactorMiddleware",
    "axes.middleware.AxesMiddleware",
    "autosubmit_portal.api.streams.StreamsMiddleware",
]

ROOT_URLCONF = "autosubmit_portal.urls"
WSGI_APPLICATION = "autosubmit_portal.wsgi.application"
APPEND_SLASH = False  # the routes of /v4 answer with and without the slash themselves

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [TEMPLATES_OF_WHEEL if IS_INSTALLED else BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "libraries": {"console": "autosubmit_portal.console.parts.presentation"},
            "builtins": ["django.templatetags.i18n"],
        },
    }
]


# Values apart from the SQL, so that the server plans what it is asked again and again once for each connection.
# A link that is cut tells nothing: without an end of its own a process would wait a quarter of an hour on a kept
# connection, and `/healthz` with it. Milliseconds without a sign from the host; a slow query is none of these.
POSTGRES = {"connect_timeout": 5, "tcp_user_timeout": 20_000, "server_side_binding": True, "prepare_threshold": 5}


def read_database() -> dict[str, Any]:
    """Return the database of PORTAL_DATABASE_URL, by default SQLite under PORTAL_HOME.

    A connection that is kept is four to seven times faster for the queue. SQLite needs write-ahead logging for speed
    and IMMEDIATE transactions against "database is locked": web and worker write at the same time.
    """
    config: dict[str, Any] = env.db("PORTAL_DATABASE_URL", default=f"sqlite:///{PORTAL_HOME / 'portal.sqlite3'}")
    if "ENGINE" not in config:
        raise ImproperlyConfigured("PORTAL_DATABASE_URL is no address such as postgres://user:password@host/name.")
    config.update(CONN_MAX_AGE=60, CONN_HEALTH_CHECKS=True)
    if config["ENGINE"] == "django.db.backends.postgresql":
        config["OPTIONS"] = POSTGRES | config.get("OPTIONS", {})
    if config["ENGINE"] == "django.db.backends.sqlite3":
        if config["NAME"] != ":memory:":
            config["NAME"] = str(ENV_FILE.parent / config["NAME"])  # the same one wherever a process works
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;",
        }
    return config


DATABASES = {"default": read_database()}
# What no other account of the host may read. The database need not be in the home.
PRIVATE_FILES = [PORTAL_HOME, ENV_FILE]
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    PRIVATE_FILES += [Path(f"{DATABASES['default']['NAME']}{suffix}") for suffix in ("", "-wal", "-shm")]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: who is locked out is not even asked for the password
    "autosubmit_portal.access.sign_in.backends.AccountBackend",
    "autosubmit_portal.access.sign_in.directory.DirectoryBackend",
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
LOGIN_URL = "admin:login"

# --- Sign-in: lockout (access/sign_in/lockout.py). Counted in the database, which all processes on all hosts share.
AXES_HANDLER = "autosubmit_portal.access.sign_in.lockout.LockoutHandler"
AXES_FAILURE_LIMIT = env.int("PORTAL_SIGN_IN_ATTEMPTS", default=5)
AXES_COOLOFF_TIME = timedelta(minutes=env.int("PORTAL_LOCKOUT_MINUTES", default=15))
AXES_LOCKOUT_PARAMETERS = ["username", "ip_address"]
AXES_LOCKOUT_CALLABLE = "autosubmit_portal.access.sign_in.lockout.answer_locked_out"
AXES_USERNAME_CALLABLE = "autosubmit_portal.access.sign_in.lockout.get_name"
AXES_CLIENT_IP_CALLABLE = "autosubmit_portal.audit.origin.get_client_address"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # or whoever guesses on would lock the owner out for good
AXES_SENSITIVE_PARAMETERS = ["old_password", "new_password1", "new_password2", "username", "ip_address"]
AXES_DISABLE_ACCESS_LOG = True  # the trail is the record
AXES_ENABLE_ADMIN = AXES_VERBOSE = False


# --- Sign-in: identity providers (access/sign_in/providers.py).
def read_issuer(key: str, prefix: str) -> Iterator[providers.IdentityProvider]:
    """Yield the issuer of OpenID Connect whose variables begin with `prefix`, if there is one."""
    address = env.str(f"{prefix}_ISSUER", default="")
    client_id = env.str(f"{prefix}_CLIENT_ID", default="")
    if address:
        yield providers.OpenIDConnect(
            key=key,
            prefix=prefix,
            address=address,
            name=env.str(f"{prefix}_NAME", default="single sign-on"),
            client_id=client_id,
            client_secret=env.str(f"{prefix}_CLIENT_SECRET", default=""),
            scopes=tuple(env.list(f"{prefix}_SCOPES", default=["openid", "profile", "email"])),
            claims=tuple(env.list(f"{prefix}_CLAIMS", default=["groups"])),
            rules=parse_rules(f"{prefix}_TEAMS", env.str(f"{prefix}_TEAMS", default="")),
            audience=tuple(env.list(f"{prefix}_AUDIENCE", default=[client_id])),
        )


def read_cas() -> Iterator[providers.IdentityProvider]:
    """Yield the CAS server of PORTAL_CAS_URL, if there is one."""
    address = env.str("PORTAL_CAS_URL", default="")
    if address:
        yield providers.CAS(
            key="cas",
            prefix="PORTAL_CAS",
            address=address,
            name=env.str("PORTAL_CAS_NAME", default="CAS"),
            subject=env.str("PORTAL_CAS_SUBJECT", default=""),
            claims=tuple(env.list("PORTAL_CAS_ATTRIBUTES", default=["groups", "memberOf"])),
            rules=parse_rules("PORTAL_CAS_TEAMS", env.str("PORTAL_CAS_TEAMS", default="")),
        )


def read_github() -> Iterator[providers.IdentityProvider]:
    """Yield GitHub, if the portal is known there as PORTAL_GITHUB_CLIENT_ID."""
    client_id = env.str("PORTAL_GITHUB_CLIENT_ID", default="")
    rules = parse_rules("PORTAL_GITHUB_TEAMS", env.str("PORTAL_GITHUB_TEAMS", default=""))
    if client_id:
        yield providers.GitHub(
            key="github",
            prefix="PORTAL_GITHUB",
            address=env.str("PORTAL_GITHUB_URL", default="https://github.com"),
            name=env.str("PORTAL_GITHUB_NAME", default="GitHub"),
            client_id=client_id,
            client_secret=env.str("PORTAL_GITHUB_CLIENT_SECRET", default=""),
            organisations=frozenset(name.lower() for name in env.list("PORTAL_GITHUB_ORGANISATIONS", default=[])),
            rules={name.lower(): grants for name, grants in rules.items()},
        )


def read_directory() -> Iterator[providers.IdentityProvider]:
    """Yield the directory of PORTAL_LDAP_URL, if there is one."""
    address = env.str("PORTAL_LDAP_URL", default="")
    person = env.str("PORTAL_LDAP_PERSON", default="")
    rules = parse_rules("PORTAL_LDAP_TEAMS", env.str("PORTAL_LDAP_TEAMS", default=""))
    if address and urlsplit(address).scheme not in ("ldap", "ldaps"):
        raise ImproperlyConfigured("PORTAL_LDAP_URL is no address such as ldaps://ldap.example.org.")
    if person.count("{name}") != (1 if person else 0):
        raise ImproperlyConfigured("PORTAL_LDAP_PERSON needs {name} once: uid={name},ou=people,dc=example,dc=org.")
    if address:
        yield providers.LDAP(
            key="ldap",
            prefix="PORTAL_LDAP",
            address=address,
            name=env.str("PORTAL_LDAP_NAME", default="the directory"),
            person=person,
            groups=env.str("PORTAL_LDAP_GROUPS", default=""),
            subject=env.str("PORTAL_LDAP_SUBJECT", default="entryUUID"),
            rules={providers.fold_dn(name): grants for name, grants in rules.items()},
        )


def read_more_issuers() -> Iterator[providers.IdentityProvider]:
    """Yield the issuers with a word of their own: PORTAL_OIDC_EDITO_ISSUER and so on."""
    for name in sorted(os.environ):
        found = re.fullmatch(r"(PORTAL_OIDC_([A-Z0-9]+))_ISSUER", name)
        if found:
            yield from read_issuer(f"sso-{found[2].lower()}", found[1])


def find_half_set() -> Iterator[str]:
    """Yield the variables that a provider begins with and that are missing although others of it are set."""
    for name in ("PORTAL_OIDC_ISSUER", "PORTAL_CAS_URL", "PORTAL_GITHUB_CLIENT_ID", "PORTAL_LDAP_URL"):
        prefix = "_".join(name.split("_")[:2])
        is_set = any(provider.prefix.startswith(prefix) for provider in PROVIDERS)
        if not is_set and any(key.startswith(f"{prefix}_") and text for key, text in os.environ.items()):
            yield name


PROVIDERS = (*read_issuer("sso", "PORTAL_OIDC"), *read_more_issuers(), *read_cas(), *read_github(), *read_directory())
PROVIDERS_HALF_SET = tuple(find_half_set())
PROVIDER_SESSION = timedelta(hours=env.int("PORTAL_SESSION_HOURS", default=12))
PASSWORD_LOGIN = env.bool("PORTAL_PASSWORD_LOGIN", default=True)
SOCIALACCOUNT_ADAPTER = "autosubmit_portal.access.sign_in.single_sign_on.SocialAdapter"
ACCOUNT_ADAPTER = "autosubmit_portal.access.sign_in.admission.AccountAdapter"
SOCIALACCOUNT_REQUESTS_TIMEOUT = 5  # seconds
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_UNIQUE_EMAIL = False  # an e-mail says nothing about who somebody is
ACCOUNT_RATE_LIMITS = False  # lockout counts in the database, for all processes together
LOGIN_REDIRECT_URL = "admin:index"

# --- Sign-in: second factor of accounts with a password (access/sign_in/second_factor.py).
REQUIRE_SECOND_FACTOR = env.str("PORTAL_REQUIRE_SECOND_FACTOR", default="none")
MFA_ADAPTER = "autosubmit_portal.access.sign_in.second_factor.Adapter"
MFA_TOTP_TOLERANCE = 1  # half a minute, for clocks that differ
MFA_REAUTHENTICATION_REQUIRED = False  # a code is asked for instead

# Of the console; the API speaks English and UTC (localization.py).
USE_I18N = True
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("es", "Español")]
LOCALE_PATHS = [BASE_DIR / "autosubmit_portal" / "locale"]
FORMAT_MODULE_PATH = "autosubmit_portal.formats"  # Django's own pages show times with their zone
TIME_ZONE = env.str("PORTAL_TIME_ZONE", default="UTC")

STATIC_URL = f"{PORTAL_PATH}static/"
# An image has them beside the program: nothing is written there, and the home is empty when a pod begins.
STATIC_ROOT = Path(env.str("PORTAL_STATIC", default="") or PORTAL_HOME / "static")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

FILE_UPLOAD_PERMISSIONS = 0o600  # of static files, which only the portal reads

# WhiteNoise would let the pages of every other site read them.
WHITENOISE_ALLOW_ALL_ORIGINS = False

HTTPS = env.bool("PORTAL_HTTPS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
# Load balancers ask over plain HTTP and take a redirect for an answer.
SECURE_REDIRECT_EXEMPT = [f"^{re.escape(f'{PORTAL_PATH}healthz'[1:])}/?$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
# Types, referrers, openers, frames and cookies are as strict as Django makes them by default.
# Origins besides our own that a form may lead to, such as the identity provider that a sign-in goes on at.
FORM_TARGETS: list[str] = []
# How many proxies of ours stand in front: so many entries at the end of X-Forwarded-For are theirs and true.
TRUSTED_PROXIES = env.int("PORTAL_TRUSTED_PROXIES", default=0)


def read_broker() -> dict[str, Any]:
    """Return where messages to workers wait: in the database, or in the Redis of PORTAL_BROKER_URL.

    An idle worker looks into the database every PORTAL_POLL_SECONDS; docs/performance.md has what that costs. It
    waits at Redis without looking.
    """
    url = env.str("PORTAL_BROKER_URL", default="")
    poll = env.float("PORTAL_POLL_SECONDS", default=0.05)
    room = "autosubmit_portal.workers"
    if not url:
        return {"broker_class": f"{room}.brokers.DatabaseBroker", "orm": "default", "poll": poll}
    if urlsplit(url).scheme not in ("redis", "rediss", "unix"):
        raise ImproperlyConfigured("PORTAL_BROKER_URL is no address of a Redis, such as redis://host:6379/0.")
    return {"broker_class": f"{room}.redis_broker.RedisBroker", "redis": url, "poll": poll}


# Measured choices: tasks are short and claim their own row, so one attempt is enough and nothing is prefetched;
# `retry` is long because the supervisor, not the broker, finds what a dead worker left.
Q_CLUSTER = {
    "name": "portal",
    **read_broker(),
    "workers": env.int("PORTAL_WORKERS", default=4),
    "queue_limit": 1,
    "bulk": 1,
    "timeout": 600,
    "retry": 3600,
    "ack_failures": True,
    "max_attempts": 1,
    "save_limit": -1,  # the Action row is the record; q2 keeps only what failed
    "catch_up": False,
    "ALT_CLUSTERS": {},  # a worker with a Q_CLUSTER_NAME takes it, whether it is there or not
}


def read_syslog_address() -> str:
    """Return the address of PORTAL_AUDIT_SYSLOG, blank if there is none."""
    url: str = env.str("PORTAL_AUDIT_SYSLOG", default="")
    parts = urlsplit(url)
    is_named = parts.path if parts.scheme == "unix" else parts.hostname
    if url and (parts.scheme not in ("udp", "tcp", "unix") or not is_named):
        raise ImproperlyConfigured(
            "PORTAL_AUDIT_SYSLOG is no address such as udp://host:514, tcp://host:514 or unix:///dev/log."
        )
    return url


# --- The audit trail
# What signs the chain of the trail. Blank: a key derived from SECRET_KEY.
AUDIT_KEY = env.str("PORTAL_AUDIT_KEY", default="") or read_kept_text(PORTAL_HOME / "audit_key")
# Where each entry is forwarded to; blank: nowhere.
AUDIT_SYSLOG = read_syslog_address()
# Processes of one web server. What is limited in the memory of each lets its share of the limit through.
WEB_PROCESSES = env.int("PORTAL_WEB_PROCESSES", default=2)
# Of each process. Waits and long answers have places for half of them; the others are always free for who does
# something.
WEB_THREADS = 12


def parse_rate(name: str, text: str) -> int | None:
    """Return the limit that a setting says, None for none; raise ImproperlyConfigured for what is no limit."""
    if text == "off":
        return None
    number, _, unit = text.partition("/")
    if unit != "min" or not number.isdecimal() or int(number) == 0:
        raise ImproperlyConfigured(f"{name}={text} is no limit. Write it like 600/min, or off.")
    return int(number)


THROTTLE_READS = parse_rate("PORTAL_THROTTLE_READS", env.str("PORTAL_THROTTLE_READS", default="12000/min"))
THROTTLE_ACTIONS = parse_rate("PORTAL_THROTTLE_ACTIONS", env.str("PORTAL_THROTTLE_ACTIONS", default="3000/min"))
THROTTLE_ANONYMOUS = parse_rate("PORTAL_THROTTLE_ANONYMOUS", env.str("PORTAL_THROTTLE_ANONYMOUS", default="600/min"))
# Bodies have Django's limits: ten thousand names of jobs take a quarter of DATA_UPLOAD_MAX_MEMORY_SIZE.

# Prometheus reads /metrics with a token of an account that may see all actions, unless this opens it to everybody.
METRICS_OPEN = env.bool("PORTAL_METRICS_OPEN", default=False)

# For how many days a token may be made, at most and by default.
TOKEN_DAYS = env.int("PORTAL_TOKEN_DAYS", default=365)
TOKEN_DEFAULT = timedelta(days=min(90, TOKEN_DAYS))

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "autosubmit_portal.api.http.authentication.SingleSignOnAuthentication",
        "autosubmit_portal.api.http.authentication.BearerAuthentication",
        "autosubmit_portal.api.http.authentication.TokenAuthentication",
        "autosubmit_portal.api.http.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": [
        "autosubmit_portal.api.http.throttling.RequestThrottle",
        "autosubmit_portal.api.http.throttling.ChangeThrottle",
    ],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "autosubmit_portal.api.http.negotiation.FormatNegotiation",
    "DEFAULT_METADATA_CLASS": "autosubmit_portal.api.metadata.PortalMetadata",
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "autosubmit_portal.api.openapi.schema.PortalSchema",
    "EXCEPTION_HANDLER": "autosubmit_portal.api.http.errors.answer_error",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Autosubmit Portal",
    "DESCRIPTION": (
        "Watch and operate the experiments of Autosubmit. What changes an experiment answers `202` with an action and "
        "its address; `Prefer: wait=N` waits for its end, `dry_run` shows the exact commands and changes nothing. "
        "Errors are problem details (RFC 9457). The parameters and fields of Autosubmit API 4.2 keep their names."
    ),
    "VERSION": "4.0",
    "SERVERS": [{"url": FORCE_SCRIPT_NAME}] if FORCE_SCRIPT_NAME else [],
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/v4",
    "COMPONENT_SPLIT_PATCH": False,  # bodies of PATCH are whole: what is required is required
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # By default Swagger UI shows the document to a validator on the internet.
    "SWAGGER_UI_SETTINGS": {"validatorUrl": None, "deepLinking": True, "defaultModelsExpandDepth": 0},
    "PREPROCESSING_HOOKS": ["autosubmit_portal.api.openapi.schema.drop_trailing_slashes"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "autosubmit_portal.api.openapi.schema.allow_any_of",
    ],
    "PATH_CONVERTER_OVERRIDES": {"name": str},
    "ENUM_NAME_OVERRIDES": {
        "KindEnum": "experiments.catalogue.kinds.CATALOGUE",
        "BulkKindEnum": "autosubmit_portal.api.bulk.KIND_NAMES",
        "RunStateEnum": "autosubmit_portal.api.serializers.experiments.RUN_STATES",
        "NewStatusEnum": "experiments.catalogue.kinds.SETTABLE_STATUSES",
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("PORTAL_LOG_LEVEL", default="INFO")},
}
