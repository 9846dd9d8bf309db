"""Impure and thin: ASGI endpoints that parse, admit, drive and render. A door never decides."""
