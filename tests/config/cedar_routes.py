"""Routes as values, and policies in a folder, for the tests of everything Cedar."""

from pathlib import Path

from gateway.config.policies import LoadedPolicies, load_policies
from gateway.core.routes import Agent, Group, Parameter, Routes, System, Tool, Variable

TEXT = {"type": "string"}
NUMBER = {"type": "integer", "minimum": 1}
REFUND = Tool(
    name="stripe.create_refund", system="stripe", method="POST", template=("v1", "refunds"), effect="write",
    body="form", resource_type="Charge", resource_id="{charge}",
    parameters=(
        Parameter(name="charge", place="body", schema=TEXT),
        Parameter(name="amount", place="body", schema=NUMBER),
        Parameter(name="reason", place="body", schema={**TEXT, "enum": ["duplicate", "fraudulent"]}, optional=True),
        Parameter(name="stripe-account", place="header", schema=TEXT, optional=True),
        Parameter(name="rate", place="body", schema={"type": "number"}, optional=True),
        Parameter(name="metadata", place="body", optional=True,
                  schema={"type": "object", "additionalProperties": True}),
    ),
)  # fmt: skip
GET = Tool(
    name="stripe.get_charge", system="stripe", method="GET", template=("v1", "charges", Variable("charge")),
    effect="read", resource_type="Charge", resource_id="{charge}",
    parameters=(Parameter(name="charge", place="path", schema=TEXT),),
)  # fmt: skip
BALANCE = Tool(name="stripe.balance", system="stripe", method="GET", template=("v1", "balance"), effect="read")
UPLOAD = Tool(
    name="files.upload", system="files", method="POST", template=("files",), effect="write", body="opaque", open=True,
)  # fmt: skip


def routes(*more: Tool) -> Routes:
    """Two systems, two agents of different teams, two groups; `more` tools join the system they name."""
    tools = (REFUND, GET, BALANCE, UPLOAD, *more)
    names = sorted({tool.system for tool in tools})
    return Routes(
        systems={
            name: System(
                name=name,
                origin=f"https://{name}.example",
                owner="lead",
                tools=tuple(tool for tool in tools if tool.system == name),
            )
            for name in names
        },
        agents={
            "billing-bot": Agent(name="billing-bot", owner="lead", teams=("finance-ops",)),
            "intern-bot": Agent(name="intern-bot", owner="lead", teams=("interns",)),
        },
        groups={
            "finance": Group(name="finance", members=("lead", "controller")),
            "legal": Group(name="legal", members=("counsel",)),
        },
    )


def load(folder: Path, text: str, known: Routes | None = None) -> LoadedPolicies:
    """The policies of one file, which must have no mistake."""
    (folder / "all.cedar").write_text(text, encoding="utf-8")
    loaded, mistakes = load_policies(folder, known or routes())
    assert loaded is not None, "\n".join(map(str, mistakes))
    return loaded


def mistakes_in(folder: Path, text: str, known: Routes | None = None) -> list[str]:
    """`line: sentence` of every mistake in one file."""
    (folder / "all.cedar").write_text(text, encoding="utf-8")
    loaded, mistakes = load_policies(folder, known or routes())
    assert (loaded is None) == bool(mistakes)
    return [f"{mistake.line}: {mistake.sentence}" for mistake in mistakes]
