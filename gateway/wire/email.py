"""E-mail: a question, or what became of it, as one message in plain text and in safe HTML, with a link to the page.

Nothing is decided by e-mail, and opening the link decides nothing: whoever follows it signs in. So a message may be
forwarded, archived and fetched by a mail scanner. It holds the summary and not the arguments, which stay on the page.

The `Message-ID` is the notice's id, the same at every attempt, so that a mail system shows one that came twice once.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from typing import Any

from gateway.core.messages import Message
from gateway.core.one_line import visible
from gateway.wire import told

MOST_ITEMS = 50
"""Of a digest, that wait and that are over."""
LONGEST_SUBJECT = 150
"""Characters: what a list of messages shows of it."""
BEGINNINGS: Mapping[str, str] = {
    "approval.requested": "{agent} asks for a decision",
    "approval.reminded": "Reminder: {agent} still waits for a decision",
    "approval.escalated": "Now also for you: {agent} waits for a decision",
    "call.finished": "Over: a call of {agent}",
    "call.in_doubt": "In doubt: a call of {agent}",
}


def compose(message: Message, sender: str, now: int) -> EmailMessage:
    """The message to all of `message.people`. `now`: milliseconds since the epoch. Raises ValueError for an address
    that is none."""
    body = message.body
    subject, thread, plain, html = _digest(body) if body["type"] == "approval.digest" else _single(body)
    mail = EmailMessage(policy=SMTP)
    mail["From"] = _address(sender)
    mail["To"] = [_address(person.email) for person in message.people]
    mail["Subject"] = told.cut(visible(subject), LONGEST_SUBJECT)
    mail["Date"] = format_datetime(datetime.fromtimestamp(now // 1000, UTC))
    domain = sender.rpartition("@")[2]
    mail["Message-ID"] = f"<{message.id}@{domain}>"
    mail["References"] = f"<{thread}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice answers it
    mail.set_content(plain)
    mail.add_alternative(html, subtype="html")
    return mail


def _single(body: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Subject, thread, plain text and HTML about one question: all about it is one thread."""
    data = body["data"]
    beginning = BEGINNINGS[body["type"]].format(agent=data["agent"])
    rows = list(_rows(body))
    subject = f"[{data['approval']}] {beginning}: {data['summary']}"
    return subject, f"{data['call']}.{data['approval']}", _plain(beginning, data, rows), _html(beginning, data, rows)


def _digest(body: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """The same about everything in a digest."""
    data = body["data"]
    beginning, ended = told.waiting(data), list(told.over(data, MOST_ITEMS))
    items = list(told.questions(body, MOST_ITEMS))
    more = list(told.unlisted(data, MOST_ITEMS))
    lines = [f"{item.summary}\n    {item.text}\n    {item.page}\n" for item in items]
    lines += [f"Over: {item.summary}\n    {item.text}\n    {item.page}\n" for item in ended]
    plain = "\n".join([f"{beginning}.", "", *lines, *more, "", "All that waits for you:", data["page"], "", WHY, ""])
    listed = "".join(
        f'<li>{over}<a href="{escape(item.page)}">{escape(item.summary)}</a><br>{escape(item.text)}</li>'
        for over, found in (("", items), ("Over: ", ended)) for item in found
    )  # fmt: skip
    html = (
        f"<!doctype html><html><body><p>{escape(beginning)}.</p><ul>{listed}</ul><p>{escape(' '.join(more))}</p>"
        f'<p><a href="{escape(data["page"])}">All that waits for you</a></p><p><small>{escape(WHY)}</small></p></body>'
        "</html>\n"
    )
    return f"[{data['approval']}] {beginning}", f"digest.{data['approval']}", plain, html


def _address(text: str) -> Address:
    try:
        return Address(addr_spec=text)
    except Exception as error:  # the parser raises what it likes for what is no address
        raise ValueError("an address under `people`, or GATEWAY_EMAIL_FROM, is not an e-mail address") from error


def _rows(body: Mapping[str, Any]) -> Iterable[told.Row]:
    data = body["data"]
    yield from told.requester(data)
    yield "Tool", visible(data["tool"])
    if body["type"].startswith("call."):
        yield from told.outcome(data)
        return
    for line in told.policies(data["policies"]):
        yield "Held because", line
    yield "Open until", f"{data['expires_at']} ({told.time_left(body)} from when this was sent); then it is denied"


def _plain(beginning: str, data: Mapping[str, Any], rows: Sequence[told.Row]) -> str:
    lines = [f"{name}: {text}" for name, text in rows]
    return "\n".join(
        [f"{beginning}.", "", f"    {visible(data['summary'])}", "", *lines, "", _call(data), data["page"], "", WHY, ""]
    )


def _html(beginning: str, data: Mapping[str, Any], rows: Sequence[told.Row]) -> str:
    """No picture, style sheet or script, and nothing from outside that is not escaped."""
    cells = "".join(
        f'<tr><td style="padding-right:1em;vertical-align:top">{escape(name)}</td><td>{escape(text)}</td></tr>'
        for name, text in rows
    )
    return (
        f"<!doctype html><html><body><p>{escape(beginning)}.</p><p><strong>{escape(visible(data['summary']))}</strong>"
        f'</p><table>{cells}</table><p><a href="{escape(data["page"])}">{escape(_call(data))}</a></p>'
        f"<p><small>{escape(WHY)}</small></p></body></html>\n"
    )


WHY = (
    "Opening the link decides nothing: the page shows everything, and asks who you are. You get this because "
    "routes.yaml of your policy gateway names you."
)


def _call(data: Mapping[str, Any]) -> str:
    return f"Call {data['call']} on the page:"
