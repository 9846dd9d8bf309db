"""Impure: one outside thing per file. Adapters implement ports and never import each other."""
