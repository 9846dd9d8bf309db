"""Every attribute name that leaves the gateway, in a span or on a metric. One table, so a rename is one line.

The standard names are those of OpenTelemetry's semantic conventions, version 1.44.0: GenAI is in development and has
moved to a repository of its own, so its names are pinned here and not imported; HTTP, server and error are stable.
Standards have no names for decisions, so those are ours, under `gateway.`. docs/traces.md explains each; a test
compares that page with this file.

Nothing may be added here whose value is an argument, an answer, a credential, or free text somebody wrote.
"""

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

# --- GenAI (development) ---
GEN_AI_OPERATION_NAME = "gen_ai.operation.name"
GEN_AI_TOOL_NAME = "gen_ai.tool.name"
GEN_AI_TOOL_TYPE = "gen_ai.tool.type"
GEN_AI_TOOL_CALL_ID = "gen_ai.tool.call.id"
GEN_AI_AGENT_NAME = "gen_ai.agent.name"

# --- HTTP, server, errors (stable), user (development) ---
HTTP_REQUEST_METHOD = "http.request.method"
HTTP_REQUEST_METHOD_ORIGINAL = "http.request.method_original"
HTTP_REQUEST_RESEND_COUNT = "http.request.resend_count"
HTTP_RESPONSE_STATUS_CODE = "http.response.status_code"
HTTP_RESPONSE_BODY_SIZE = "http.response.body.size"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
URL_SCHEME = "url.scheme"
ERROR_TYPE = "error.type"
USER_ID = "user.id"

# --- On every span ---
CALL_ID = "gateway.call.id"
FACT = "gateway.fact"
LEDGER_PARTITION = "gateway.ledger.partition"
LEDGER_ENTRY = "gateway.ledger.entry"
LEDGER_POSITION = "gateway.ledger.position"
LEDGER_INDEX = "gateway.ledger.index"
LEDGER_LEAF = "gateway.ledger.leaf"
SEGMENT = "gateway.segment"
HISTORY = "gateway.history"

# --- What the call is ---
SYSTEM = "gateway.system"
EFFECT = "gateway.effect"
RUN = "gateway.run"
RESOURCE_TYPE = "gateway.resource.type"
KEY = "gateway.key"
KEY_GIVEN = "gateway.key.given"
MATCH = "gateway.match"
REPEATABLE = "gateway.repeatable"

# --- What was decided ---
DECISION = "gateway.decision"
POLICY_IDS = "gateway.policy.ids"
POLICY_SHADOW_IDS = "gateway.policy.shadow_ids"
POLICY_CODE = "gateway.policy.code"
GENERATION = "gateway.generation"
FINGERPRINT = "gateway.fingerprint"

# --- Who was asked, and what they said ---
APPROVAL_GROUPS = "gateway.approval.groups"
APPROVAL_GRANTS = "gateway.approval.grants"
APPROVAL_BY = "gateway.approval.by"
APPROVAL_VIA = "gateway.approval.via"
APPROVAL_ON_BEHALF = "gateway.approval.on_behalf"
APPROVAL_CHANGED = "gateway.approval.changed"
APPROVAL_TO = "gateway.approval.to"
APPROVAL_MESSAGE = "gateway.approval.message"
APPROVAL_WAITED_MS = "gateway.approval.waited_ms"
APPROVAL_EXPIRES_MS = "gateway.approval.expires_ms"
PREVIEW_NAME = "gateway.preview.name"
PREVIEW_CALL = "gateway.preview.call"
PREVIEW_DIGEST = "gateway.preview.digest"
PREVIEW_BOUND = "gateway.preview.bound"
PREVIEW_AGAIN = "gateway.preview.again"
PREVIEW_CHANGED = "gateway.preview.changed"
NOTICE_ID = "gateway.notice.id"
NOTICE_KIND = "gateway.notice.kind"
NOTICE_ATTEMPT = "gateway.notice.attempt"
NOTICE_DONE = "gateway.notice.done"
NOTICE_DIGEST = "gateway.notice.digest"

# --- What became of it ---
OUTCOME = "gateway.outcome"
DENIED_BY = "gateway.denied_by"
REPLAYED = "gateway.replayed"
LEASE_MS = "gateway.claim.lease_ms"
ANSWER_SHA256 = "gateway.answer.sha256"
ANSWER_KEPT = "gateway.answer.kept"
ANSWER_WITHHELD = "gateway.answer.withheld"
ANSWER_WHOLE = "gateway.answer.whole"
RESOLVED_BY = "gateway.resolved.by"
RESOLVED_ACTED = "gateway.resolved.acted"

# --- What is kept of it, and who looked ---
RECORDED_PART = "gateway.recorded.part"
RECORDED_HOW = "gateway.recorded.how"
RECORDED_MASKED = "gateway.recorded.masked"
VIEWED_BY = "gateway.viewed.by"
VIEWED_VIA = "gateway.viewed.via"

# --- On metrics only ---
STATE = "gateway.state"
QUEUE = "gateway.queue"
AGE = "gateway.age"
