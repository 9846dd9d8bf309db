"""Hot reload: all of an edit or none of it, whoever makes it and however the files are put in place.

The watching tests use real files and the real watcher, and wait for what must happen; that something must *not* happen
is shown by an edit behind it that does.
"""

import asyncio
import hashlib
import json
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import yaml

from gateway.config.mistakes import Mistakes
from gateway.core.admit import Admission, Asker, Inadmissible, admit
from gateway.core.call import Request
from gateway.core.payload import pack_request
from gateway.generations import Generations, load, signature
from tests.processes import free_port

READS = '@id("reads") permit (principal, action in Action::"read", resource);'
WRITES = '@id("writes") permit (principal, action in Action::"write", resource);'
BROKEN = '@id("broken") permit (principal, action, resource'


def routes(**tools: dict[str, object]) -> str:
    return yaml.safe_dump({
        "version": 1,
        "people": {"olga": {"roles": ["operator"]}},
        "agents": {"bot": {"owner": "olga"}},
        "systems": {"bank": {"upstream": "http://127.0.0.1:9", "owner": "olga", "tools": {
            "get": {"request": "GET /items/{item}", "effect": "read"},
            "pay": {"request": "POST /payments", "effect": "write", "input": {"amount": {"type": "integer"}}},
        } | tools}},
    })  # fmt: skip


def deploy(folder: Path, policies: str = READS, text: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "routes.yaml").write_text(text or routes())
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / "all.cedar").write_text(policies)
    return folder


def opened(folder: Path) -> Generations:
    return Generations.open(folder / "routes.yaml", folder / "policies")


# --- Loading ----------------------------------------------------------------------------------------------------------


def test_the_same_files_are_the_same_generation_wherever_they_are(tmp_path):
    one, two = (load(deploy(tmp_path / name) / "routes.yaml", tmp_path / name / "policies", {}) for name in ("a", "b"))
    assert one.digest == two.digest and len(one.digest) == 64


@pytest.mark.parametrize(
    ("policies", "text"),
    [(WRITES, ""), (READS, routes(more={"request": "GET /more", "effect": "read"}))],
    ids=["policies", "routes"],
)
def test_any_change_is_another_generation(tmp_path, policies, text):
    before = opened(deploy(tmp_path)).current.digest
    assert opened(deploy(tmp_path, policies, text)).current.digest != before


def test_a_mistake_in_the_policies_and_one_in_the_routes_are_both_told(tmp_path):
    with pytest.raises(Mistakes) as caught:
        opened(deploy(tmp_path, BROKEN))
    assert "all.cedar:1" in str(caught.value)
    with pytest.raises(Mistakes) as caught:
        opened(deploy(tmp_path, READS, "version: 2\nsystems: 3\n"))
    assert "routes.yaml:1" in str(caught.value) and "routes.yaml:2" in str(caught.value)
    twice = '@id("a") @aproval("x") permit (principal, action, resource);\n' * 2 + BROKEN
    with pytest.raises(Mistakes) as caught:
        opened(deploy(tmp_path, twice, "version: 2\nsystems: 3\n"))
    told = str(caught.value)
    assert "routes.yaml:1" in told and "all.cedar:3: this is not Cedar" in told
    assert "there is no annotation @aproval" in told and '@id("a") is already taken' in told


# --- Reloading --------------------------------------------------------------------------------------------------------


def test_an_edit_is_taken_as_a_whole(tmp_path):
    generations = opened(deploy(tmp_path))
    before = generations.current
    deploy(tmp_path, WRITES, routes(more={"request": "GET /more", "effect": "read"}))
    asyncio.run(generations.reload())
    after = generations.serving()
    assert after.digest != before.digest
    assert after.routes.tool("bank.more") is not None and before.routes.tool("bank.more") is None
    assert after.index is not before.index and after.policies is not before.policies


@pytest.mark.parametrize(
    ("policies", "text"),
    [
        (BROKEN, ""),
        (READS, "version: 1\nsystems: [\n"),
        (BROKEN, routes(more={"request": "GET /more", "effect": "read"})),
    ],
    ids=["broken policies", "broken routes", "broken policies beside good routes"],
)
def test_a_broken_edit_keeps_the_old_generation_whole_and_says_why(tmp_path, policies, text, caplog):
    generations = opened(deploy(tmp_path))
    before = generations.current
    deploy(tmp_path, policies, text)
    with caplog.at_level(logging.ERROR):
        asyncio.run(generations.reload())
    assert generations.serving() is before, "not one part of a broken edit is served"
    assert generations.mistakes, "for /readyz"
    assert all(": " in mistake for mistake in generations.mistakes)
    assert "the old configuration keeps serving" in caplog.text and generations.mistakes[0] in caplog.text


def test_mending_it_takes_the_mistakes_back(tmp_path):
    generations = opened(deploy(tmp_path))
    for policies in (BROKEN, WRITES):
        deploy(tmp_path, policies)
        asyncio.run(generations.reload())
    assert generations.mistakes == []
    assert generations.current.digest == opened(tmp_path).current.digest


def test_undoing_a_broken_edit_takes_the_mistakes_back_too(tmp_path):
    generations = opened(deploy(tmp_path))
    before = generations.current
    for policies in (BROKEN, READS):
        deploy(tmp_path, policies)
        asyncio.run(generations.reload())
    assert generations.mistakes == [] and generations.current is before


@pytest.mark.parametrize("gone", ["routes.yaml", "policies"])
def test_files_that_are_gone_keep_the_old_generation(tmp_path, gone):
    generations = opened(deploy(tmp_path))
    before = generations.current
    (tmp_path / gone).rename(tmp_path / "elsewhere")
    asyncio.run(generations.reload())
    assert generations.current is before and generations.mistakes


# --- A call that was made under an older generation -------------------------------------------------------------------


def call_of(generations: Generations):
    """A payment, admitted now, with what the journal keeps of it."""
    current = generations.current
    request = Request(
        system="bank", method="POST", target="/payments", headers=(("content-type", "application/json"),),
        body=b'{"amount": 7}',
    )  # fmt: skip
    tool, variables = current.index.match("bank", "POST", "/payments")
    admission = admit(
        Asker(agent=current.routes.agents["bot"]), current.routes.systems["bank"], tool, request,
        current.index.reader(tool).read(request, variables), call_id="07" + "ab" * 11, salt=b"s" * 16,
        deployment_key=b"k",
    )  # fmt: skip
    return admission.call, {"request": pack_request(request), "salt": b"s" * 16}


def test_a_held_call_is_admitted_anew_from_its_bytes(tmp_path):
    generations = opened(deploy(tmp_path))
    call, payload = call_of(generations)
    again = generations.current.readmit(call, payload)
    assert again.call == call and dict(again.question.input) == {"amount": 7}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda text: text.replace("POST /payments", "POST /transfers"), "unknown-tool"),
        (lambda text: text.replace("pay:", "transfer:"), "unknown-tool"),
        (lambda text: text.replace("type: integer", "type: string"), "invalid-arguments"),
        (lambda text: text.replace("bot:", "robot:"), "unknown-tool"),
        (lambda text: text.replace("  bank:", "  house:"), "unknown-tool"),
        (lambda text: text.replace("effect: write", "effect: read\n        safe: true"), "tool-changed"),
    ],
    ids=["another path", "another tool", "another type", "agent gone", "system gone", "a read now"],
)
def test_a_call_that_could_not_be_made_today_is_refused(tmp_path, change, code):
    generations = opened(deploy(tmp_path))
    call, payload = call_of(generations)
    text = change((tmp_path / "routes.yaml").read_text())
    deploy(tmp_path, '@id("any") permit (principal, action, resource);', text)
    asyncio.run(generations.reload())
    assert generations.mistakes == []
    with pytest.raises(Inadmissible) as caught:
        generations.current.readmit(call, payload)
    assert caught.value.code == code


def test_another_upstream_is_another_fingerprint(tmp_path):
    generations = opened(deploy(tmp_path))
    call, payload = call_of(generations)
    deploy(tmp_path, text=routes().replace("127.0.0.1:9", f"127.0.0.1:{free_port()}"))
    asyncio.run(generations.reload())
    assert generations.current.readmit(call, payload).call.fingerprint != call.fingerprint


def test_a_call_whose_request_is_not_kept_any_more_is_refused(tmp_path):
    generations = opened(deploy(tmp_path))
    call, _ = call_of(generations)
    with pytest.raises(Inadmissible) as caught:
        generations.current.readmit(call, {})
    assert caught.value.code == "request-not-kept"


# --- Watching ---------------------------------------------------------------------------------------------------------


def watching(generations: Generations, story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        watch = asyncio.create_task(generations.watch())
        await asyncio.sleep(0.3)  # inotify says nothing about when it listens; `settled` repeats its edit anyway
        try:
            await story()
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch

    asyncio.run(main())


def serves(generations: Generations, digest: str) -> bool:
    return generations.current.digest == digest


async def settled(truth: Callable[[], bool], edit: Callable[[], object]) -> None:
    """Edit, and wait for what must come of it; again if the watcher was not listening yet."""
    for _ in range(40):
        edit()
        for _ in range(150):  # three seconds: longer than the pause between looks
            if truth():
                return
            await asyncio.sleep(0.02)
    raise AssertionError("the edit was not noticed")


def test_an_edit_in_place_is_noticed(tmp_path):
    generations = opened(deploy(tmp_path))

    async def story() -> None:
        edit = lambda: deploy(tmp_path, WRITES)  # noqa: E731
        await settled(lambda: generations.current.digest == opened(tmp_path).current.digest, edit)

    watching(generations, story)


@pytest.mark.parametrize("name", ["routes.yaml", "policies/all.cedar"])
def test_a_file_that_is_replaced_is_noticed(tmp_path, name):
    """As editors save and as deployments write: a new file takes the name of the old one."""
    generations = opened(deploy(tmp_path))
    text = {"routes.yaml": routes(more={"request": "GET /more", "effect": "read"}), "policies/all.cedar": WRITES}[name]

    def replace() -> None:
        (tmp_path / "draft").write_text(text)
        (tmp_path / "draft").replace(tmp_path / name)

    async def story() -> None:
        before = generations.current.digest
        await settled(lambda: generations.current.digest != before, replace)

    watching(generations, story)


def test_a_new_policy_file_is_noticed_and_so_is_its_removal(tmp_path):
    generations = opened(deploy(tmp_path))
    before, more = generations.current.digest, tmp_path / "policies" / "more.cedar"

    async def story() -> None:
        await settled(lambda: generations.current.digest != before, lambda: more.write_text(WRITES))
        await settled(lambda: generations.current.digest == before, lambda: more.unlink(missing_ok=True))

    watching(generations, story)


def point(link: Path, target: str) -> None:
    """Swap a symbolic link, in one step."""
    draft = link.with_name("..draft")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    os.replace(draft, link)  # noqa: PTH105 - Path.replace would do the same


def mounted(folder: Path) -> Path:
    """As Kubernetes mounts a ConfigMap: files are links through `..data`, which is swapped."""
    for number, policies in enumerate((READS, WRITES)):
        deploy(folder / f"..{number}", policies)
    point(folder / "..data", "..0")
    for name in ("routes.yaml", "policies"):
        (folder / name).symlink_to(f"..data/{name}")
    return folder


def test_the_swap_of_a_mounted_configmap_is_noticed(tmp_path):
    generations = opened(mounted(tmp_path))
    before = generations.current.digest

    async def story() -> None:
        await settled(lambda: generations.current.digest != before, lambda: point(tmp_path / "..data", "..1"))

    watching(generations, story)
    assert generations.current.digest == opened(tmp_path).current.digest


def test_after_a_swap_the_next_swap_is_noticed_too(tmp_path):
    generations = opened(mounted(tmp_path))
    digests = {name: opened(tmp_path / name).current.digest for name in ("..0", "..1")}

    async def story() -> None:
        for name in ("..1", "..0", "..1"):
            await settled(partial(serves, generations, digests[name]), partial(point, tmp_path / "..data", name))

    watching(generations, story)


def test_a_policies_directory_that_is_a_link_can_be_swapped(tmp_path):
    deploy(tmp_path)
    (tmp_path / "policies").rename(tmp_path / "first")
    deploy(tmp_path, WRITES)
    (tmp_path / "policies").rename(tmp_path / "second")
    (tmp_path / "policies").symlink_to("first")
    generations = opened(tmp_path)
    before = generations.current.digest

    async def story() -> None:
        await settled(lambda: generations.current.digest != before, lambda: point(tmp_path / "policies", "second"))
        after = generations.current.digest
        more = lambda: (tmp_path / "second" / "more.cedar").write_text(READS)  # noqa: E731
        await settled(lambda: generations.current.digest != after, more)

    watching(generations, story)


def test_an_edit_in_a_linked_directory_of_policies_is_noticed(tmp_path):
    generations = opened(deploy(tmp_path))
    before, shared = generations.current.digest, tmp_path / "shared"
    shared.mkdir()
    (tmp_path / "policies" / "common").symlink_to(shared)
    assert shared in generations._places()

    async def story() -> None:
        await settled(lambda: generations.current.digest != before, lambda: (shared / "a.cedar").write_text(WRITES))

    watching(generations, story)


def test_a_link_to_nowhere_is_another_state_of_the_files(tmp_path):
    """Otherwise it would be told at the next edit only."""
    generations = opened(deploy(tmp_path))
    (tmp_path / "policies" / "common").symlink_to("nowhere")
    assert signature(tmp_path / "routes.yaml", tmp_path / "policies") != generations.known


def test_a_link_higher_up_can_be_swapped(tmp_path):
    """As deployments do that keep releases side by side: nothing changes in any directory that the paths name."""
    deploy(tmp_path / "releases" / "1")
    deploy(tmp_path / "releases" / "2", WRITES)
    (tmp_path / "current").symlink_to("releases/1")
    generations = opened(tmp_path / "current")
    wanted = opened(tmp_path / "releases" / "2").current.digest

    async def story() -> None:
        await settled(partial(serves, generations, wanted), partial(point, tmp_path / "current", "releases/2"))

    watching(generations, story)


def test_what_lies_beside_the_files_is_not_looked_at(tmp_path, monkeypatch):
    """Otherwise a log file in that directory would make every process load everything for every line, for ever."""
    generations = opened(deploy(tmp_path))
    loaded: list[object] = []

    def counting(*paths: object) -> object:
        loaded.append(paths)
        return load(*paths)  # type: ignore[arg-type]

    monkeypatch.setattr("gateway.generations.load", counting)

    async def story() -> None:
        for number in range(5):
            (tmp_path / "gateway.log").write_text(f"{number}")
            (tmp_path / "policies" / ".all.cedar.swp").write_text(f"{number}")
            await asyncio.sleep(0.1)
        before = len(loaded)
        await settled(lambda: len(loaded) > before, lambda: deploy(tmp_path, WRITES))
        assert before == 0

    watching(generations, story)


# --- Previews ---------------------------------------------------------------------------------------------------------

LOOKS = {"about": {"tool": "get", "input": {"item": "{item}"}, "show": ["price"]}}
PAYS: dict[str, dict[str, object]] = {
    "pay": {
        "request": "POST /payments", "effect": "write", "preview": LOOKS,
        "input": {"amount": {"type": "integer"}, "item": {"type": "string", "optional": True}},
    }
}  # fmt: skip


def looked(tmp_path: Path, tools: dict[str, dict[str, object]] = PAYS, **arguments: object) -> Admission:
    loaded = opened(deploy(tmp_path, text=routes(**tools))).current
    tool = loaded.routes.tool("bank.pay")
    assert tool is not None
    body = json.dumps({"amount": 5} | arguments).encode()
    request = Request(
        system="bank", method="POST", target="/payments", headers=(("content-type", "application/json"),), body=body
    )
    asker = Asker(agent=loaded.routes.agents["bot"], user="ann", run="r1", key="k", reason="why", source_ip="10.0.0.1")
    read = loaded.index.reader(tool).read(request, {})
    held = admit(
        asker, loaded.routes.systems["bank"], tool, request, read, call_id="07a", salt=b"s", deployment_key=b"k"
    )
    return loaded.preview(held, tool.previews[0], call_id="07b", salt=b"t")


def test_a_preview_is_admitted_as_a_read_of_the_agent_in_its_run(tmp_path):
    found = looked(tmp_path, item="a b")
    call = found.call
    assert (found.tool.name, found.request.target, dict(found.question.input)) == (
        "bank.get",
        "/items/a%20b",
        {"item": "a b"},
    )
    assert (call.id, call.agent, call.user, call.run, call.effect) == ("07b", "bot", "ann", "r1", "read")
    assert (call.reason, call.source_ip, call.key_given) == ("preview for call 07a", "10.0.0.1", False)
    assert found.identified() is call, "nothing attaches to it"
    assert found.system.timeout_seconds == 5.0


@pytest.mark.parametrize("arguments", [{}, {"item": ""}, {"item": "a/b"}, {"item": ".."}, {"item": "%2e"}])
def test_a_preview_that_could_be_read_otherwise_is_not_admitted(arguments, tmp_path):
    with pytest.raises(Inadmissible, match=r"^the arguments of this call make no request of bank.get$"):
        looked(tmp_path, **arguments)


def test_a_preview_whose_arguments_make_it_another_tool_is_not_admitted(tmp_path):
    more: dict[str, dict[str, object]] = PAYS | {
        "get": {"request": "GET /{item...}", "effect": "read"},
        "file": {"request": "GET /files/{item...}", "effect": "read"},
    }
    assert looked(tmp_path, more, item="x/y").request.target == "/x/y"
    with pytest.raises(Inadmissible, match=r"make no request of bank.get$"):
        looked(tmp_path, more, item="files/y")


# --- What the record says ---------------------------------------------------------------------------------------------


def test_a_generation_names_the_files_it_is_made_of_without_saying_where_they_are(tmp_path):
    deploy(tmp_path)
    (tmp_path / "policies" / "team").mkdir()
    (tmp_path / "policies" / "team" / "more.cedar").write_text(WRITES)
    files = opened(tmp_path).current.files
    assert [file.name for file in files] == ["routes.yaml", "policies/all.cedar", "policies/team/more.cedar"]
    assert files[1].sha256 == hashlib.sha256(READS.encode()).hexdigest()


def test_an_edit_is_written_down_before_it_serves(tmp_path):
    async def story():
        generations = opened(deploy(tmp_path))
        before, told = generations.current.digest, []

        async def record(loaded):
            told.append((loaded.digest, generations.current.digest))

        generations.record = record
        deploy(tmp_path, WRITES)
        await generations.reload()
        assert told == [(generations.current.digest, before)]
        await generations.reload()
        assert len(told) == 1

    asyncio.run(story())
