"""`gateway audit`: what an auditor types. It reads the sealed log's files, and needs no gateway that runs."""
