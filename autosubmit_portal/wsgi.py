"""The WSGI application, served by gunicorn."""

import gc
import os

import gunicorn.http.wsgi
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "autosubmit_portal.settings")
application = get_wsgi_application()

# Nobody outside needs to know what serves.
gunicorn.http.wsgi.SERVER = ""  # type: ignore[attr-defined]

# Ten thousand jobs are twenty thousand objects, and by default Python looks through all there are for cycles once in
# every 700 new ones: that takes as long as reading them. What is loaded now stays.
gc.freeze()
gc.set_threshold(50_000, 20, 20)
