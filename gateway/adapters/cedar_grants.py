"""Standing grants, written and evaluated by Cedar: each in a set of its own, alone.

A permit beside the policies could never lift a forbid, and must not permit anything either. So a grant is asked by
itself whether it matches the call, after the policies have held it. Whatever goes wrong here (a text that is not
Cedar, an error while evaluating, a panic) means that the grant does not match, and people are asked as without it.
"""

import json
import logging
from collections.abc import Sequence

from cedarpy import Schema, policies_to_json_str, validate_policies

from gateway.adapters.cedar import Frame, Kept, Rules
from gateway.config.grant_text import grant_text
from gateway.config.policies import LoadedPolicy
from gateway.config.policy_tree import about
from gateway.config.schema import cedar_schema
from gateway.core.grants import Grant, NotGrantable, Terms
from gateway.core.routes import Routes
from gateway.core.verdict import Question

COMPILED_KEPT = 1024
"""Of one generation; 20 KB each."""

log = logging.getLogger(__name__)

Compiled = tuple[Frame, Rules]


class CedarGrants:
    """`grant_ports.Granting`, for the routes of one generation."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._compiled: dict[str, Compiled | None] = {}
        self._kept: Kept = {}

    def text(self, question: Question, terms: Terms, *, policy: str, grant: str) -> str:
        """The permit, checked against the schema as policies are. Raises NotGrantable."""
        tool = self._routes.tool(question.action)
        if tool is None:
            raise NotGrantable("there is no such tool any more")
        text = grant_text(question, tool, terms, policy=policy, grant=grant)
        checked = validate_policies(text, Schema.from_str(cedar_schema(self._routes, {tool.name})))
        if not checked.validation_passed:
            log.warning("a grant for %s was written that Cedar does not accept", tool.name)
            raise NotGrantable("it could not be written so that Cedar accepts it; decide each call")
        return text

    def matching(self, question: Question, grants: Sequence[Grant]) -> tuple[Grant, ...]:
        """Those that match the call. Total: one that cannot be evaluated does not."""
        return tuple(grant for grant in grants if self._matches(question, grant))

    def _matches(self, question: Question, grant: Grant) -> bool:
        agent = self._routes.agents.get(question.agent)
        try:
            if grant.id not in self._compiled:
                if len(self._compiled) >= COMPILED_KEPT:
                    self._compiled.clear()
                self._compiled[grant.id] = None
                self._compiled[grant.id] = self._compile(grant)
            compiled = self._compiled[grant.id]
            if compiled is None or agent is None:
                return False
            frame, rules = compiled
            answer = frame.ask(question, agent, self._kept)(rules)
        except BaseException as error:  # a panic of Cedar is no Exception
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            log.warning("%s could not be evaluated (%s), so it lifts nothing", grant.id, type(error).__name__)
            return False
        return answer.allowed and not answer.erred

    def _compile(self, grant: Grant) -> Compiled:
        [tree] = json.loads(policies_to_json_str(grant.text))["staticPolicies"].values()
        meant = {"id": grant.id, "grants": grant.requirement.policy}
        tool = self._routes.tool(grant.tool)
        if tool is None or tree["annotations"] != meant:
            raise ValueError("not the text of this grant")
        policy = LoadedPolicy(
            id=grant.id, effect="permit", annotations=meant, text=grant.text, digest="", file="", line=0,
            actions=frozenset({tool.name}), about=about(tree),
        )  # fmt: skip
        return Frame(tool, [policy]), Rules([policy])
