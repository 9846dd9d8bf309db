"""The policy gateway: models propose; the gateway decides, executes and records."""

__version__ = "0.1.0"
