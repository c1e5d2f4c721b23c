"""The configuration: read as Backstage reads it, with the place of every value.

What the sections mean is the business of `app.settings`.
"""

from app.config.place import Place
from app.config.reader import Config
from app.config.sources import load_config

__all__ = ["Config", "Place", "load_config"]
