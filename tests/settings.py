"""Settings of the tests: those of the portal, with a home that is thrown away and nothing to collect first."""

import atexit
import os
import shutil
import tempfile

os.environ["PORTAL_HOME"] = tempfile.mkdtemp(prefix="portal-tests-")
os.environ["PORTAL_SECRET_KEY"] = "of the tests, which keep no secrets and need no randomness here"
os.environ["PORTAL_LOG_LEVEL"] = "WARNING"
os.environ["PORTAL_THROTTLE_READS"] = "off"  # all tests of a minute are one process and few accounts
atexit.register(shutil.rmtree, os.environ["PORTAL_HOME"], ignore_errors=True)

from autosubmit_portal.settings import *  # noqa: E402, F403
from autosubmit_portal.settings import FOUND_UMASK  # noqa: E402

os.umask(FOUND_UMASK)  # tests make files for other accounts too

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True  # serves the files from where they are, without collectstatic
