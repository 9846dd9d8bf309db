"""From `routes.yaml` and `policies/` to one immutable generation, or every mistake at once, each with its line."""
