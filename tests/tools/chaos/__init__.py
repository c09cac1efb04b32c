"""Fault injection: `make chaos` kills, stops and starves a real portal while it works, then looks for damage."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
