"""The policies, answered by Cedar: design section 6, step by step.

What must never happen: that something unexpected lets a call through. Cedar skips a policy whose evaluation errs, so
an erring forbid would be no forbid; here an error of any enforced policy, an answer that is neither yes nor no, and
any exception is a deny with the code `policy-error`. Cedar's own error text repeats arguments and is dropped at once;
logs carry only `@id`s.

What makes it cheap: each tool has a slice, made when it is first asked about and kept: only the policies whose scope
can match it, parsed once, under a schema of that one action with only those attributes that one of them reads. So
ten thousand policies cost what ten do, and an argument that no policy reads costs nothing.
"""

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace

import orjson
from cedarpy import Decision, Entities, PolicySet, Schema, is_authorized

from gateway.config.policies import LoadedPolicies, LoadedPolicy
from gateway.config.schema import CALL, Attribute, NotCedar, input_attributes, slice_schema, unseen
from gateway.core.routes import Agent, Routes, Tool
from gateway.core.value import positional_value
from gateway.core.verdict import Decision as Decided
from gateway.core.verdict import Question, Requirement, Verdict

log = logging.getLogger(__name__)

ERRED = re.compile(r"error while evaluating policy `policy(\d+)`")
ANSWERS_KEPT = 4096
LONGEST_REMEMBERED = 512
"""Characters of agent, resource and context together. With ANSWERS_KEPT it bounds what the answers of a tool occupy."""
ENTITIES_KEPT = 2048
"""Agents' entities kept, over all slices: 5 KB each, so 10 MB; making one anew costs 20 us."""
POLICY_ERROR = "The policies could not be evaluated for this call, so it is denied. Tell the operator of the gateway."


class Undecided(Exception):
    """Cedar gave no answer that may be relied on."""

    def __init__(self, policies: tuple[str, ...] = ()) -> None:
        super().__init__(*policies)
        self.policies = policies
        """`@id`s of the policies that erred, as far as they are known."""


@positional_value
class Answer:
    """What Cedar said about some policies."""

    allowed: bool
    matched: list[LoadedPolicy]
    """The determining ones: permits of a yes, forbids of a no. In the order of files and lines."""
    erred: tuple[str, ...] = ()
    plain_yes: Verdict | None = field(default=None, compare=False)
    """The verdict of a yes with no questions asked, made once however often the answer is found again."""


Ask = Callable[["Rules | None"], Answer]


class Rules:
    """Some policies of a slice, parsed."""

    def __init__(self, policies: Sequence[LoadedPolicy]) -> None:
        self.handle = PolicySet.from_str("\n".join(policy.text for policy in policies))
        self.ids = tuple(policy.id for policy in policies)
        self.places = {policy.id: (number, policy) for number, policy in enumerate(policies)}

    @classmethod
    def of(cls, policies: Iterable[LoadedPolicy]) -> "Rules | None":
        """None if there are none, so that they cost nothing."""
        listed = list(policies)
        return cls(listed) if listed else None

    def answer(self, request: dict[str, object], entities: Entities, schema: Schema) -> Answer:
        """Raises Undecided if there is neither a yes nor a no. What erred is for the caller to weigh."""
        result = is_authorized(request, self.handle, entities, schema)
        told, decision = result.diagnostics, result.decision
        names = told.id_annotations_by_reason.values()
        if decision is Decision.NoDecision or len(names) != len(told.reasons):
            raise Undecided
        allowed = decision is Decision.Allow
        matched = [policy for _, policy in sorted(map(self.places.__getitem__, names))]
        if any((policy.effect == "permit") is not allowed for policy in matched) or (allowed and not matched):
            raise Undecided
        return Answer(
            allowed, matched, tuple(map(self._named, told.errors)), _told("allow", matched) if allowed else None
        )

    def _named(self, error: str) -> str:
        found = ERRED.match(error)
        number = int(found[1]) if found else len(self.ids)
        return self.ids[number] if number < len(self.ids) else ""


class Frame:
    """How the questions about one tool are put to some policies: the schema, the request and the entities they need."""

    def __init__(self, tool: Tool, policies: Sequence[LoadedPolicy]) -> None:
        self.tool = tool
        self.action = {"type": "Action", "id": tool.name}
        given = input_attributes(tool)
        self.input = _read(given, "input", policies)
        self.call = _read(CALL, "call", policies)
        self.known = frozenset({*(attribute.argument for attribute in given), *unseen(tool)})
        self.required = frozenset(attribute.argument for attribute in given if not attribute.optional)
        self.climbs = bool(tool.resource_type) and any(policy.about.climbs for policy in policies)
        self.weighs_resource = any(policy.about.weighs_resource for policy in policies)
        self.answers: dict[tuple[object, ...], Answer] = {}
        """What these policies answered before. Cedar is a function, policies and entities are those of one generation,
        and the key is the whole request as Cedar gets it, so an answer found here is the answer."""
        self.schema_text = slice_schema(tool, self.input, self.call)
        self.schema = Schema.from_str(self.schema_text)

    def ask(self, question: Question, agent: Agent, kept: "Kept") -> Ask:
        """The question, ready to be put to any of these policies. Raises NotCedar or Undecided."""
        request = self.request(question)
        entities = kept.get((self, agent.name))
        if entities is None:
            if len(kept) >= ENTITIES_KEPT:
                kept.clear()
            entities = kept[self, agent.name] = self.entities(agent)
        if self.climbs:  # some policy may ask which system the resource is in
            parents = [{"type": "System", "id": question.system}]
            added = orjson.dumps([{"uid": request["resource"], "attrs": {}, "parents": parents}])
            entities = entities.with_added_json_str(added.decode())

        def ask(rules: Rules | None) -> Answer:
            if rules is None:
                return Answer(allowed=False, matched=[])
            key = (rules, agent.name, question.resource_id if self.weighs_resource else "", request["context"])
            known = self.answers.get(key)
            return known if known is not None else self._remember(key, rules.answer(request, entities, self.schema))

        return ask

    def _remember(self, key: tuple[object, ...], answer: Answer) -> Answer:
        if sum(len(part) for part in key if isinstance(part, str)) <= LONGEST_REMEMBERED:
            if len(self.answers) >= ANSWERS_KEPT:
                self.answers.clear()
            self.answers[key] = answer
        return answer

    def request(self, question: Question) -> dict[str, object]:
        """The question as Cedar takes it. Raises NotCedar, or Undecided if it was not meant for this tool."""
        tool, given = self.tool, question.input
        if (question.system, question.resource_type) != (tool.system, tool.resource_type):
            raise Undecided
        if not (tool.open or given.keys() <= self.known):
            raise NotCedar("it has an argument that is not declared")
        if not self.required <= given.keys():
            raise NotCedar("it lacks an argument")
        context = {"input": _values(self.input, given), "call": _values(self.call, question.call)}
        return {
            "principal": {"type": "Agent", "id": question.agent},
            "action": self.action,
            "resource": _resource(question, weighed=self.weighs_resource),
            "context": orjson.dumps(context).decode(),
        }

    def entities(self, agent: Agent) -> Entities:
        """With the schema, which brings the action and its groups: without it `action in` would never match."""
        teams = [{"type": "Team", "id": team} for team in agent.teams]
        uid = {"type": "Agent", "id": agent.name}
        listed = [
            {"uid": uid, "attrs": {"owner": agent.owner}, "parents": teams},
            {"uid": {"type": "System", "id": self.tool.system}, "attrs": {}, "parents": []},
            *({"uid": team, "attrs": {}, "parents": []} for team in teams),
        ]
        return Entities.from_json_str(orjson.dumps(listed).decode(), self.schema)


def _read(attributes: Sequence[Attribute], record: str, policies: Sequence[LoadedPolicy]) -> tuple[Attribute, ...]:
    """The attributes that at least one of the policies reads."""
    every = [policy.about.reads for policy in policies]
    return tuple(a for a in attributes if any(reads is None or (record, a.name) in reads for reads in every))


def _values(attributes: Sequence[Attribute], given: Mapping[str, object]) -> dict[str, object]:
    values = {}
    for attribute in attributes:
        value = given.get(attribute.argument)
        if value is not None:
            try:
                values[attribute.name] = attribute.convert(value)
            except NotCedar as error:
                raise NotCedar(f'its "{attribute.name}" has no exact form: {error}') from None
        elif not attribute.optional:
            raise NotCedar(f'it lacks "{attribute.name}"')
    return values


def _resource(question: Question, *, weighed: bool) -> dict[str, str]:
    """A resource that no policy looks at goes without its id, so that questions about others are the same question."""
    if question.resource_type:
        return {"type": question.resource_type, "id": question.resource_id if weighed else ""}
    return {"type": "System", "id": question.system}


Kept = dict[tuple[Frame, str], Entities]


class Slice:
    """The policies that one tool's questions are put to. Shadow policies are framed apart: nothing of them can deny."""

    def __init__(self, tool: Tool, policies: Iterable[LoadedPolicy]) -> None:
        about = [policy for policy in policies if policy.actions is None or tool.name in policy.actions]
        enforced = [policy for policy in about if not policy.shadow]
        plain = [policy for policy in enforced if not policy.group]
        self.tool = tool
        self.frame = Frame(tool, enforced)
        self.enforced = Rules.of(enforced)
        self.plain = Rules.of(plain) if len(plain) < len(enforced) else self.enforced
        self.shadows = [policy for policy in about if policy.shadow]
        self.shadow_frame = Frame(tool, self.shadows) if self.shadows else None
        self.shadow_forbids = Rules.of(policy for policy in self.shadows if policy.effect == "forbid")
        self.shadow_permits = Rules.of(policy for policy in self.shadows if policy.effect == "permit")


class CedarPolicies:
    """`ports.Policies`: one immutable set of policies, with the routes it was loaded for."""

    def __init__(self, loaded: LoadedPolicies, routes: Routes) -> None:
        self._policies = loaded.policies
        self._routes = routes
        self._slices: dict[str, Slice] = {}
        self._kept: Kept = {}

    def judge(self, question: Question, met: frozenset[Requirement]) -> Verdict:
        """Allow, hold or deny. Total: if a policy errs it is a deny with code `policy-error`, if the engine fails one
        with code `policies-unavailable`."""
        reason, code = POLICY_ERROR, "policy-error"
        names: tuple[str, ...] = ()
        try:
            return self._judge(question, met)
        except NotCedar as error:  # our own words, which never repeat a value; the agent can mend its call
            reason = f"The call cannot be judged, because {error}."
        except Undecided as error:
            names = error.policies
        except BaseException as error:  # noqa: BLE001  a panic of Cedar is no Exception
            _raise_if_told_to_stop(error)
            log.error("judging failed with %s", type(error).__name__)  # noqa: TRY400  its text may hold arguments
            code = "policies-unavailable"
        log.warning("policy error, the call is denied; policies that erred: %s", ", ".join(names) or "unknown")
        return Verdict(decision="deny", policies=names, reasons=(reason,), code=code)

    def _judge(self, question: Question, met: frozenset[Requirement]) -> Verdict:
        part, agent = self._slice(question.action), self._routes.agents.get(question.agent)
        if part is None:
            return _deny("unknown-tool", f"There is no tool {question.action} any more.")
        if agent is None:
            return _deny("no-permit", f"{question.agent} is no agent of this gateway any more.")
        verdict = _verdict(part, question, met, part.frame.ask(question, agent, self._kept))
        if part.shadow_frame is not None:
            return replace(verdict, shadow=self._shadow(part, part.shadow_frame, question, agent, verdict))
        return verdict

    def _slice(self, action: str) -> Slice | None:
        """Made when first asked for. Two threads may make it at once; they make the same."""
        if part := self._slices.get(action):
            return part
        tool = self._routes.tool(action)
        if tool is not None:
            self._slices[action] = Slice(tool, self._policies)
        return self._slices.get(action)

    def _shadow(self, part: Slice, frame: Frame, question: Question, agent: Agent, verdict: Verdict) -> tuple[str, ...]:
        """Shadow forbids that match, and shadow permits that match where a permit was lacking."""
        found: list[LoadedPolicy] = []
        try:
            ask = frame.ask(question, agent, self._kept)
            found += ask(part.shadow_forbids).matched
            if verdict.code == "no-permit":
                found += ask(part.shadow_permits).matched
        except BaseException as error:  # noqa: BLE001  whatever it is, a shadow never denies
            _raise_if_told_to_stop(error)
            log.warning("shadow policies of %s failed with %s", part.tool.name, type(error).__name__)
        return tuple(policy.id for policy in found)


def _raise_if_told_to_stop(error: BaseException) -> None:
    if isinstance(error, KeyboardInterrupt | SystemExit):
        raise error


def _verdict(part: Slice, question: Question, met: frozenset[Requirement], ask: Ask) -> Verdict:
    """Design section 6, in its four steps."""
    answer = _trusted(ask(part.enforced))
    if answer.allowed:
        return answer.plain_yes or _told("allow", answer.matched)
    if final := [policy for policy in answer.matched if not policy.group]:
        return _told("deny", final)
    without = _trusted(ask(part.plain)) if answer.matched else answer
    if not without.allowed:
        return _deny("no-permit", f"No policy permits {question.agent} to use {question.action} in this way.")
    wanted = {_requirement(policy): policy for policy in answer.matched}
    if unmet := {requirement: policy for requirement, policy in wanted.items() if requirement not in met}:
        return _told("hold", list(unmet.values()), tuple(unmet))
    return _told("allow", [*without.matched, *answer.matched], tuple(wanted))


def _trusted(answer: Answer) -> Answer:
    if answer.erred:
        raise Undecided(tuple(sorted(filter(None, set(answer.erred)))))
    return answer


def _requirement(policy: LoadedPolicy) -> Requirement:
    return Requirement(policy.group, policy.id, policy.digest, policy.urgent)


def _told(decision: Decided, policies: Sequence[LoadedPolicy], requirements: tuple[Requirement, ...] = ()) -> Verdict:
    return Verdict(
        decision=decision,
        policies=tuple(policy.id for policy in policies),
        reasons=tuple(policy.reason for policy in policies),
        requirements=requirements,
    )


def _deny(code: str, reason: str) -> Verdict:
    return Verdict(decision="deny", reasons=(reason,), code=code)
