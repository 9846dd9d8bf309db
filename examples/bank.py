"""The tour's system of record: a bank in memory, at 127.0.0.1:9000. It knows its own token and no gateway.

GET /accounts/{account} · POST /payments {"to": ..., "amount": cents} · GET /payments
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 9000
TOKEN = os.environ["BANK_TOKEN"]
BALANCES = {"acme": 0, "globex": 250_000}
PAYMENTS: list[dict[str, object]] = []


class Bank(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        account = self.path.removeprefix("/accounts/")
        if self.headers["authorization"] != f"Bearer {TOKEN}":
            self.answer(401, {"error": "this bank does not know you"})
        elif self.path == "/payments":
            self.answer(200, {"payments": PAYMENTS})
        elif account in BALANCES:
            self.answer(200, {"account": account, "balance": BALANCES[account]})
        else:
            self.answer(404, {"error": "no such account"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers["authorization"] != f"Bearer {TOKEN}":
            self.answer(401, {"error": "this bank does not know you"})
            return
        order = json.loads(body)
        payment = {"payment": f"pay_{len(PAYMENTS) + 1}", "to": order["to"], "amount": order["amount"]}
        PAYMENTS.append(payment)
        BALANCES[order["to"]] = BALANCES.get(order["to"], 0) + order["amount"]
        self.answer(201, payment)

    def answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", PORT), Bank).serve_forever()
