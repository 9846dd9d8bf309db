"""Traces over OTLP/HTTP, from the ledger. docs/traces.md says what is in them and what is not."""

from gateway.adapters.otlp.environment import configured
from gateway.adapters.otlp.exporter import TraceExporter
from gateway.adapters.otlp.reading import LedgerReader

__all__ = ["LedgerReader", "TraceExporter", "configured"]
