"""A whole argument for a person who decides: JSON on one line, and if it is too long, with its exact size and digest.

`one_line` shortens values to fit a sentence. Here what is left out is named so precisely that it can be compared with
what stands elsewhere: nothing is ever cut silently.
"""

import hashlib
import json
from typing import Any

from gateway.core.one_line import visible


def legible(value: Any, limit: int) -> tuple[str, str]:
    """`value` as JSON of about `limit` characters, and what was left out: empty, or its exact size and digest."""
    text = visible(json.dumps(value, ensure_ascii=False, default=str))
    if len(text) <= limit:
        return text, ""
    whole = raw(value)
    return text[:limit] + "…", f"cut here; {len(whole)} bytes in all, SHA-256 {hashlib.sha256(whole).hexdigest()}"


def raw(value: Any) -> bytes:
    """What the size and digest of a value are of: the UTF-8 of a text, the compact JSON of anything else."""
    text = (
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str, separators=(",", ":"))
    )
    return text.encode("utf-8", "surrogatepass")
