"""Measurements of the portal, run by `make bench`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
