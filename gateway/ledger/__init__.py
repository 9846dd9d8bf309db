"""The sealed log: a Merkle tree per partition, in files that anybody can verify without us (C2SP tlog-tiles)."""
