#!/usr/bin/env python
"""The command line of a checkout: `manage.py help` lists the commands."""

import sys

if __name__ == "__main__":
    try:
        from autosubmit_portal.__main__ import main
    except ImportError as error:
        sys.exit(f"{error}. Run `make install`, then use `.venv/bin/python manage.py`.")
    main()
