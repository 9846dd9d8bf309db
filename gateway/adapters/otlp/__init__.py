"""Traces over OTLP/HTTP, from the ledger. docs/traces.md says what is in them and what is not."""

from gateway.adapters.otlp.environment import configured
from gateway.adapters.otlp.exporter import LedgerReader, TraceExporter

__all__ = ["LedgerReader", "TraceExporter", "configured"]
