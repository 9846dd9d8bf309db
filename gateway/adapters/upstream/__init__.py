"""Sends one request to a system of record, once, over pyreqwest. The bytes that were judged are the bytes that leave.

Never: retry, follow a redirect, decompress, keep a cookie, obey a proxy variable, speak HTTP/2 (over it one send was
delivered three times, measured). hyper opens a second connection for a request only if not one byte of it was
written on the first; tests count what arrives.

What a failure proves is read from the chain of causes, not from the exception class: after a reset pyreqwest raises
ConnectError, after a total timeout ConnectTimeoutError, both with the request already sent (peer failure 28). Only
"client error (Connect)" proves that nothing left: `NeverSent`. Everything else is `SendLost`. Causes are read, never
chained: reqwest's first message quotes the URL, and a credential may be in it.

Connections go only to addresses that were checked: a client is pinned to one address of one host (TLS still verifies
the host's name), so there is one client per host, address and timeout, made once (4 ms) and used by all calls.

Time: the head comes within the system's timeout, and so does a body that is read whole. A body that streams may
last, but not fall silent for that long. Connecting takes at most CONNECT_SECONDS of it.

Known limits of pyreqwest, pinned by tests: without Accept or User-Agent from the agent it sends `*/*` and USER_AGENT;
a header of an answer with bytes outside ASCII cannot be read, so it is left out (`Reply.unreadable` names it), and if
it is Connection, so are all others that do not describe the body; a request header whose bytes are not UTF-8, and a
target that its URL type would rewrite (one with a quote in the query, for instance), are refused before sending.

One instance per process, made after forking; it belongs to one event loop.
"""

from gateway.adapters.upstream.sender import PyreqwestUpstream

__all__ = ["PyreqwestUpstream"]
