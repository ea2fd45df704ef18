"""The training engine: a library and a command line that know nothing of the portal."""

__version__ = "0.1.0"
