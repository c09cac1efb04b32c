"""The pages of the console, a file per model. Importing them registers them."""

from importlib import import_module
from pkgutil import iter_modules

for page in iter_modules(__path__):
    import_module(f"{__name__}.{page.name}")
