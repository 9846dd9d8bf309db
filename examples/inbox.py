"""The approvers' system, receiving half: verifies the gateway's notices at 127.0.0.1:9001 and keeps the last one.

    python inbox.py FOLDER          writes a question to FOLDER/notice.json; says what else it hears

Standard Webhooks: the signature covers `{webhook-id}.{webhook-timestamp}.{body}`. Nothing in a notice is believed
before it has been verified. Answer 2xx quickly, and let people think afterwards.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT = 9001
KEY = base64.b64decode(os.environ["APPROVALS_SECRET"].removeprefix("whsec_"))
TOLERANCE = 300
"""Seconds by which the sender's clock may differ from ours."""


def genuine(message: str, stamp: str, signatures: str, body: bytes) -> bool:
    digest = hmac.new(KEY, f"{message}.{stamp}.".encode() + body, hashlib.sha256).digest()
    expected = b"v1," + base64.b64encode(digest)
    recent = stamp.isascii() and stamp.isdigit() and abs(time.time() - int(stamp)) <= TOLERANCE
    return recent and any(hmac.compare_digest(expected, offered.encode()) for offered in signatures.split())


class Inbox(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        signed = (self.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
        if not genuine(*signed, body):
            self.send_error(401)
            return
        notice = json.loads(body)
        if notice["type"] == "approval.requested":
            Path(sys.argv[1], "notice.json").write_text(json.dumps(notice, indent=2) + "\n")
        print(f"{notice['type']}: {notice['data']['summary']}", flush=True)
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", PORT), Inbox).serve_forever()
