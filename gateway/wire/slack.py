"""Slack: a question as a Block Kit card, and what becomes of it; pure, from the body that a webhook would get.

Everything that an agent, a policy or a system wrote stands in `rich_text` elements of type `text`, which Slack shows
as they are: there is no markup in them, so no mention, link or formatting can be smuggled in. Only our own words
use `mrkdwn`. The one exception is the line for notifications (`text`), which is escaped as Slack demands.

A card never shortens silently: a long argument is cut with its size and digest, and the page shows it whole.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from gateway.core.legible import legible
from gateway.core.one_line import visible
from gateway.core.routes import Person
from gateway.wire import told

LONGEST_VALUE = 700
"""Characters of one argument; a screenful on a phone."""
LONGEST_ARGUMENTS = 4_500
"""Of all arguments: Slack refuses a card with more than about 13,000 characters (`msg_blocks_too_long`)."""
MOST_ARGUMENTS = 40
MOST_ITEMS = 12
"""Of a digest, that wait and that are over: at most 10,000 characters together."""
LONGEST_LINE = 300
"""Of the name of an argument, and of the line for notifications."""
LONGEST_HEADER = 150
LONGEST_SUMMARY = 3_000
"""More than a summary can have."""
APPROVE, REJECT, OPEN = "gateway.approve", "gateway.reject", "gateway.open"
"""Ids of the buttons."""

Block = dict[str, Any]


def card(body: Mapping[str, Any]) -> dict[str, Any]:
    """The question: who asks for whom, what would happen, why it is held, until when, and the buttons."""
    data = body["data"]
    pictures = list(told.previews(data.get("preview", ())))
    reasons = [_section(_text(line)) for line in told.policies(data["policies"])]
    return _payload(
        f"{data['agent']} asks {data['approval']}: {data['summary']}",
        [
            _header(data),
            _rich(_section(_text(data["summary"], bold=True)), *_rows(told.requester(data))),
            _rich(_section(_text("Arguments", bold=True)), *_arguments(data["input"])),
            *([_rich(_section(_text("What it is about", bold=True)), *_rows(pictures))] if pictures else ()),
            _rich(_section(_text("Held because", bold=True)), *reasons),
            *([_rich(*(_section(_text(line)) for line in so_far))] if (so_far := data.get("so_far")) else ()),
            _deadline(body),
            {"type": "actions", "block_id": f"gateway.{data['call']}", "elements": _buttons(data)},
        ],
    )


def nudge(body: Mapping[str, Any], people: Sequence[Person]) -> dict[str, Any]:
    """The same question again, below its card: nobody has decided yet, or it is now also for these people."""
    data = body["data"]
    escalated = body["type"] == "approval.escalated"
    said = "This now waits for you too" if escalated else "This still waits for a decision"
    known = [{"type": "user", "user_id": person.slack} for person in people if person.slack]
    mentions = [part for mention in known for part in (mention, _text(" "))]
    return _payload(
        f"{said}: {data['summary']}",
        [
            _rich(_section(*mentions, _text(f"{said}: "), _text(data["summary"]))),
            _deadline(body),
            {"type": "actions", "elements": [_open(data)]},
        ],
    )


def ending(body: Mapping[str, Any]) -> dict[str, Any]:
    """What became of it, in the place of the card: no buttons any more."""
    data = body["data"]
    return _payload(
        f"{data['outcome']}: {data['summary']}",
        [
            _header(data),
            _rich(_section(_text(data["summary"], bold=True)), *_rows(told.outcome(data))),
            {"type": "actions", "elements": [_open(data)]},
        ],
    )


def digest(body: Mapping[str, Any]) -> dict[str, Any]:
    """What waits, beyond what the group hears of by itself: a list with links, and no button that decides."""
    data = body["data"]
    heading = told.cut(told.waiting(data), LONGEST_HEADER)
    waiting, over = (
        list(map(_item, found)) for found in (told.questions(body, MOST_ITEMS), told.over(data, MOST_ITEMS))
    )
    more = [_section(_text(line)) for line in told.unlisted(data, MOST_ITEMS)]
    return _payload(
        heading,
        [
            {"type": "header", "text": {"type": "plain_text", "text": heading}},
            *([_rich(*waiting)] if waiting else ()),
            *([_rich(_section(_text("Over", bold=True)), *over)] if over else ()),
            *([_rich(*more)] if more else ()),
            {"type": "actions", "elements": [_open(data)]},
        ],
    )


def superseded(kind: str) -> dict[str, Any]:
    """In the place of a message that another one of that kind replaces."""
    changed = "This question has changed. The new one stands below."
    said = "A newer digest stands below." if kind == "approval.digest" else changed
    return _payload(said, [{"type": "section", "text": {"type": "mrkdwn", "text": said}}])


def escaped(text: str) -> str:
    """Text for a field that Slack reads as mrkdwn: no mention and no link can begin."""
    return visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# --- Parts ----------------------------------------------------------------------------------------------------------


def _payload(line: str, blocks: list[Block]) -> dict[str, Any]:
    return {
        "text": told.cut(escaped(line), LONGEST_LINE),
        "blocks": blocks,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _arguments(given: Mapping[str, Any]) -> Iterable[Block]:
    room = LONGEST_ARGUMENTS
    for number, (name, value) in enumerate(given.items()):
        if number == MOST_ARGUMENTS or room <= 0:
            rest = dict(list(given.items())[number:])
            yield _section(_text(f"{len(rest)} more arguments are on the page; "), _text(legible(rest, 0)[1]))
            return
        shown, left = legible(value, min(LONGEST_VALUE, room))
        label = told.cut(visible(name), LONGEST_LINE)
        room -= len(shown) + len(label) + len(left)
        end = [_text(f" ({left}; whole on the page)", italic=True)] if left else []
        yield _section(_text(f"{label}: "), _text(shown, code=True), *end)
    if not given:
        yield _section(_text("none"))


def _header(data: Mapping[str, Any]) -> Block:
    """Names of routes.yaml only, which have no room for mischief."""
    text = told.cut(f"{data['agent']}: {data['tool']}", LONGEST_HEADER)
    return {"type": "header", "text": {"type": "plain_text", "text": text}}


def _item(item: told.Item) -> Block:
    link = {"type": "link", "url": item.page, "text": "open"}
    return _section(_text(item.summary, bold=True), _text(f" {item.text}. "), link)


def _rows(rows: Iterable[told.Row]) -> Iterator[Block]:
    for label, text in rows:
        yield _section(_text(f"{label}: "), _text(text))


def _deadline(body: Mapping[str, Any]) -> Block:
    """Our own words only, so it may be mrkdwn: Slack shows the time in each reader's own zone."""
    end = body["data"]["expires_at"]
    when = f"<!date^{int(datetime.fromisoformat(end).timestamp())}^{{date_short_pretty}} {{time}}|{end}>"
    text = f"Open until {when}, {told.time_left(body)} from when this was sent. Then it is denied."
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}


def _buttons(data: Mapping[str, Any]) -> list[Block]:
    if "slack" not in data["decide_in"]:
        return [_open(data)]
    value = orjson.dumps([data["call"], data["approval"], data["fingerprint"]]).decode()
    return [
        _button(APPROVE, "Approve", value=value, style="primary"),
        _button(REJECT, "Reject", value=value, style="danger"),
        _open(data),
    ]


def _open(data: Mapping[str, Any]) -> Block:
    return _button(OPEN, "Open the page", url=data["page"])


def _button(action: str, label: str, **more: str) -> Block:
    return {"type": "button", "action_id": action, "text": {"type": "plain_text", "text": label}, **more}


def _rich(*sections: Block) -> Block:
    return {"type": "rich_text", "elements": list(sections)}


def _section(*elements: Block) -> Block:
    return {"type": "rich_text_section", "elements": [*elements, _text("\n")]}


def _text(text: str, **style: bool) -> Block:
    shown = text if text == "\n" else told.cut(visible(text), LONGEST_SUMMARY)
    return {"type": "text", "text": shown} | ({"style": style} if style else {})
