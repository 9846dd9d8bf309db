"""Redis or Valkey: the journal, its timers and its ledger, over one pipelining connection per process."""
