"""The WSGI application, served by the worker of web.py."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "autosubmit_portal.settings")
application = get_wsgi_application()
# All views are loaded before gunicorn forks, not by the first request of each process.
_ = get_resolver().url_patterns

# Ten thousand jobs are twenty thousand objects, and by default Python looks through all there are for cycles once in
# every 700 new ones: that takes as long as reading them. What is loaded now stays.
gc.freeze()
gc.set_threshold(50_000, 20, 20)
