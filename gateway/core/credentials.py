"""Whether a text holds what looks like a credential, by the forms that vendors give theirs and by telling names.

Why these are our own: detect-secrets, the library for this, scans source code line by line, flags every long digest
(of which each fact has several), asks vendors over the network whether a finding works, and had its last release in May
2024, before many of today's forms. What is worth having of it is a table, and this is the table. It is for finding what
should not be there: it never says that a text is clean, only that it holds none of these.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator

FORMS: dict[str, str] = {
    "a gateway key": r"\bg[kp]_[\w-]{40,}",
    "the ledger's signing key": r"PRIVATE\+KEY\+",
    "a webhook secret": r"\bwhs(?:ec|k)_[A-Za-z0-9+/=_-]{20,}",
    "a private key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY|AGE-SECRET-KEY-1[0-9A-Z]{20,}",
    "an AWS access key": r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
    "a Google key": r"\bAIza[\w-]{35}|\bGOCSPX-[\w-]{20,}|\bya29\.[\w-]{20,}",
    "an Azure key": r"\b(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{40,}",
    "a Stripe key": r"\b[sr]k_(?:live|test)_[0-9A-Za-z]{10,}",
    "a GitHub token": r"\bgh[pousr]_[0-9A-Za-z]{30,}|\bgithub_pat_\w{22,}",
    "a GitLab token": r"\bgl(?:pat|ptt|dt|rt|cbt)-[\w-]{20,}",
    "a Slack token": r"\bxox[abeoprs](?:\.xox[bp])?-[\w-]{10,}|\bxapp-\d-[\w-]{10,}|hooks\.slack\.com/services/T\w+/B",
    "a model provider's key": r"\bsk-(?:proj-|ant-|svcacct-|or-)?[\w-]{20,}|\bhf_[A-Za-z0-9]{30,}",
    "a package registry's token": r"\bnpm_[A-Za-z0-9]{36}|\bpypi-AgE[\w-]{20,}",
    "a SendGrid or Twilio key": r"\bSG\.[\w-]{16,}\.[\w-]{16,}|\b(?:SK|AC)[0-9a-f]{32}\b",
    "a Shopify or Square token": r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|\bsq0[a-z]{3}-[\w-]{22,}",
    "a Vault or cloud token": r"\bhv[sbr]\.[\w-]{20,}|\bdop_v1_[0-9a-f]{64}|\bdapi[0-9a-f]{32}\b",
    "a JSON Web Token": r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*",
    "a bearer token": r"(?i:\bbearer)[ :]+(?=[\w.~+/-]*\d)[\w.~+/-]{16,}=*",
    "a name and password (Basic)": r"(?i:\bbasic) +(?=[a-z+/]*[A-Z0-9])[A-Za-z0-9+/]{12,}={0,2}",
    "a password in a URL": r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,30}://[^\s/:@\"']{1,200}:[^\s/@\"']{3,200}@",
}
NAMED = re.compile(
    r"(?i)(?:pass(?:word|wd|phrase)?|pwd|secret|token|credential|api[_ -]?key|access[_ -]?key|private[_ -]?key|auth)"
    r"[\"']?\s*(?:[:=]|\bis\b)\s*[\"']?([^\s\"',;&<>{}]{8,200})"
)
FEWEST_BITS = 2.7
"""Of a character of what follows a telling name. Words of a language have less among so few, random ones more."""
_FORMS = [(name, re.compile(form)) for name, form in FORMS.items()]
_ANY = re.compile("|".join(form for form in FORMS.values()))
_DIGEST = re.compile(r"[0-9a-f]{16,128}(?:-[0-9a-f]+)*")


def credentials_in(text: str) -> Iterator[str]:
    """What in `text` looks like a credential, one name for each kind. Never gives the text, or a part of it."""
    if len(text) < 8 or _DIGEST.fullmatch(text):
        return  # most of what facts hold
    if _ANY.search(text):
        yield from (name for name, form in _FORMS if form.search(text))
    elif any(_random(found[1]) for found in NAMED.finditer(text)):
        yield "something random behind a telling name"


def _random(text: str) -> bool:
    counts = Counter(text).values()
    bits = -sum(count / len(text) * math.log2(count / len(text)) for count in counts)
    kinds = [any(map(kind, text)) for kind in (str.isdigit, str.islower, str.isupper)]
    return bits >= FEWEST_BITS and sum(kinds) >= 2 and not _DIGEST.fullmatch(text)
