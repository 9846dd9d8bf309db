"""CPU time of one decision: does it depend on how many policies there are, on what they read, on what is decided?

    python -m bench.decision [--rounds 15] [--calls 300]

Every case is measured in turn, round after round, so that a slow minute of the machine is everybody's; reported are
medians of process CPU time per decision, and the ratio to the first case. The policies go through `load_policies`, so
the time to load ten thousand is shown too.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.adapters.cedar import CedarPolicies
from gateway.config.policies import load_policies
from gateway.core.routes import Agent, Group, Parameter, Routes, System, Tool, Variable
from gateway.core.verdict import Question, Verdict

TOOLS = 1000
PER_TOOL = 10
MICROSECONDS = 1e6
REFUND = Question(
    agent="billing-bot", action="stripe.t0", resource_type="Charge", resource_id="ch_1", system="stripe",
    input={"charge": "ch_1", "amount": 400, "reason": "duplicate"},
    call={"method": "POST", "key_given": True, "run": "r1", "source_ip": "10.0.0.1", "now": 1795255200000,
          "attempt": 1},
)  # fmt: skip
READS_ALL = """!(
    context.call.attempt < 9 && context.call.now < datetime("2100-01-01") && context.call.method == "POST"
    && context.call.key_given && context.call.source_ip.isInRange(ip("10.0.0.0/8"))
    && context.call has run && context.call.run != "x" && context.input has reason && context.input.reason != "x"
    && context.input.charge like "ch_*"
)"""


@dataclass(frozen=True)
class Case:
    name: str
    policies: CedarPolicies
    question: Question
    expected: str

    def decide(self) -> Verdict:
        return self.policies.judge(self.question, frozenset())


def routes(tools: int) -> Routes:
    """One system with so many tools that refund, each like `stripe.create_refund`."""
    text, number = {"type": "string"}, {"type": "integer"}
    parameters = (
        Parameter(name="charge", place="body", schema=text),
        Parameter(name="amount", place="body", schema=number),
        Parameter(name="reason", place="body", schema=text, optional=True),
    )
    made = tuple(
        Tool(
            name=f"stripe.t{i}", system="stripe", method="POST", template=("v1", f"t{i}", Variable("charge")),
            effect="write", body="form", parameters=parameters, resource_type="Charge", resource_id="{charge}",
        )
        for i in range(tools)
    )  # fmt: skip
    return Routes(
        systems={"stripe": System(name="stripe", origin="https://api.stripe.com", owner="lead", tools=made)},
        agents={"billing-bot": Agent(name="billing-bot", owner="lead", teams=("finance-ops",))},
        groups={"finance": Group(name="finance", members=("lead",))},
    )


def usual(tool: str, condition: str = "context.input.amount > 5000") -> str:
    """Three policies: a permit, a forbid that an approval lifts, and a limit."""
    return f"""
        @id("{tool}-permit") permit (principal in Team::"finance-ops", action == Action::"{tool}", resource);
        @id("{tool}-hold") @approval("finance")
        forbid (principal, action == Action::"{tool}", resource) when {{ {condition} }};
        @id("{tool}-limit") forbid (principal, action == Action::"{tool}", resource)
        when {{ context.input.amount > 100000 }};
    """


def ten(tool: str) -> str:
    """Ten policies about one tool."""
    limits = (
        f'@id("{tool}-{i}") forbid (principal, action == Action::"{tool}", resource) '
        f"when {{ context.input.amount > {100000 + i} }};"
        for i in range(PER_TOOL - 3)
    )
    return usual(tool) + "\n".join(limits)


def loaded(text: str, tools: int = 1) -> CedarPolicies:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "all.cedar").write_text(text)
        policies, mistakes = load_policies(Path(folder), routes(tools))
    if policies is None:
        raise SystemExit("\n".join(map(str, mistakes[:5])))
    return CedarPolicies(policies, routes(tools))


def cases() -> list[Case]:
    ten_policies = loaded(ten("stripe.t0"))
    before = time.process_time()
    many = loaded("\n".join(ten(f"stripe.t{i}") for i in range(TOOLS)), TOOLS)
    print(f"loading {TOOLS * PER_TOOL} policies on {TOOLS} tools: {time.process_time() - before:.2f} s of CPU\n")
    three = usual("stripe.t0")
    climbing = three + '@id("own") forbid (principal, action, resource) unless { resource in System::"stripe" };'
    shadow = three + '@id("s") @shadow forbid (principal, action, resource) when { context.input.amount > 300 };'
    large = replace(REFUND, input={**REFUND.input, "amount": 9000})
    return [
        Case(f"{PER_TOOL} policies", ten_policies, REFUND, "allow"),
        Case(f"{TOOLS * PER_TOOL} policies on {TOOLS} tools", many, REFUND, "allow"),
        Case("3 policies", loaded(three), REFUND, "allow"),
        Case("3 policies, held", loaded(three), large, "hold"),
        Case("3 policies that read the whole context", loaded(usual("stripe.t0", READS_ALL)), REFUND, "allow"),
        Case("4 policies, one asks which system", loaded(climbing), REFUND, "allow"),
        Case("3 policies and one in shadow", loaded(shadow), REFUND, "allow"),
    ]  # fmt: skip


def measured(call: Callable[[], object], calls: int) -> float:
    before = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - before) / calls * MICROSECONDS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="how often every case is measured")
    parser.add_argument("--calls", type=int, default=300, help="decisions per measurement")
    options = parser.parse_args()
    every = cases()
    for case in every:
        verdict = case.decide()  # also makes the slice
        if verdict.decision != case.expected:
            raise SystemExit(f"{case.name}: expected {case.expected}, got {verdict}")
    times: dict[str, list[float]] = {case.name: [] for case in every}
    for _ in range(options.rounds):
        for case in every:
            times[case.name].append(measured(case.decide, options.calls))
    base = statistics.median(times[every[0].name])
    print(f"{'':42}{'median us':>10}{'min':>8}{'ratio':>8}")
    for name, found in times.items():
        median = statistics.median(found)
        print(f"{name:42}{median:10.1f}{min(found):8.1f}{median / base:8.2f}")


if __name__ == "__main__":
    main()
