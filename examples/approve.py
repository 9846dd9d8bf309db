"""The approvers' system, answering half: signs what a person decided about a notice, and calls the gateway back.

    python approve.py NOTICE.json PERSON [--reject] [--reason TEXT]

The secret is in CALLBACK_SECRET. `fingerprint` goes back exactly as it came: the decision is about what the notice
showed, and about nothing else.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

arguments = argparse.ArgumentParser()
arguments.add_argument("notice", type=Path)
arguments.add_argument("person")
arguments.add_argument("--reject", action="store_true")
arguments.add_argument("--reason", default="")
given = arguments.parse_args()

shown = json.loads(given.notice.read_text())["data"]
decision = {
    "call": shown["call"],
    "approval": shown["approval"],
    "fingerprint": shown["fingerprint"],
    "decision": "reject" if given.reject else "approve",
    "approver": given.person,
    "reason": given.reason,
}
body = json.dumps(decision).encode()

message, timestamp = f"msg_{uuid.uuid4().hex}", str(int(time.time()))
secret = os.environ.get("CALLBACK_SECRET") or sys.exit("CALLBACK_SECRET is not set: . examples/tour.env")
key = base64.b64decode(secret.removeprefix("whsec_"))
mac = hmac.new(key, f"{message}.{timestamp}.".encode() + body, hashlib.sha256).digest()
headers = {
    "content-type": "application/json",
    "webhook-id": message,
    "webhook-timestamp": timestamp,
    "webhook-signature": "v1," + base64.b64encode(mac).decode(),
}
try:
    answer = urllib.request.urlopen(urllib.request.Request(shown["callback"], body, headers))
except urllib.error.HTTPError as refused:
    raise SystemExit(f"{refused.code} {refused.read().decode()}") from None
print(answer.status, answer.read().decode())
