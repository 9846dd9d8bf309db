"""The end of the story: the record, proved from its files alone by commands that know nothing of the gateway.

They run as an auditor would run them, on the files and on a copy in which somebody has changed a name.
"""

import shutil
import subprocess
from pathlib import Path

from gateway.demo.stage import ROOT, Scene, gateway_command
from gateway.demo.story import PATIENCE, eventually, expect
from gateway.demo.transcript import Transcript

RECEIPT_LINES = 7
"""Of what a receipt tells, in the transcript."""


def tell(scene: Scene, transcript: Transcript, call: str) -> None:
    transcript.chapter("The record is sealed. Its files alone prove it, to somebody who does not trust us.")
    ledger, copy = scene.data / "ledger", scene.data.parent / "copy"
    eventually(lambda: sealed(ledger, call), f"Call {call} was not sealed within {PATIENCE:g} s.")
    key = audit(scene, transcript, "key", "--data", scene.data).stdout.strip()
    transcript.block(key)
    transcript.note("That line is all an auditor needs from the company; everything else is in the files.")
    proved = audit(scene, transcript, "verify", "--ledger", ledger, "--key", key)
    expect(proved.returncode == 0, f"The record does not verify: {proved.stderr.strip()}")
    transcript.block(proved.stdout)
    transcript.good("Every signature, every hash, and that the life of every call could have happened.")
    eventually(lambda: copied(ledger, copy), "The record could not be copied.")
    for file in bundles(copy, call):
        file.write_bytes(file.read_bytes().replace(b"finance-lead", b"finance-load"))
    forged = audit(scene, transcript, "verify", "--ledger", copy, "--key", key)
    expect(forged.returncode != 0, "A record in which somebody else has approved was taken for the true one.")
    transcript.block(forged.stderr.replace(f"{copy.parent}/", ""))
    transcript.good("In a copy, somebody changed who approved: the first wrong byte is named.")
    receipt = scene.data.parent / "receipt.json"
    receipt.write_text(audit(scene, transcript, "receipt", call, "--ledger", ledger).stdout, encoding="utf-8")
    checked = audit(scene, transcript, "verify-receipt", receipt, "--key", key)
    expect(checked.returncode == 0, f"The receipt does not verify: {checked.stderr.strip()}")
    expect("finance-lead" in checked.stdout, "The receipt does not say who approved.")
    transcript.block("\n".join([*checked.stdout.splitlines()[:RECEIPT_LINES], "..."]))
    transcript.good("The held call as one file, which proves itself to somebody who has nothing else.")


def sealed(ledger: Path, call: str) -> bool:
    """Whether the log has the approval of that call."""
    found = [file.read_bytes() for file in bundles(ledger, call)]
    return any(call.encode() in data and b"finance-lead" in data for data in found)


def copied(ledger: Path, copy: Path) -> bool:
    """False if the log grew meanwhile, which takes partial files away."""
    shutil.rmtree(copy, ignore_errors=True)
    try:
        shutil.copytree(ledger, copy)
    except (shutil.Error, OSError):
        return False
    return True


def bundles(ledger: Path, call: str) -> list[Path]:
    """The files with the facts of the log that the call is in."""
    return [file for file in (ledger / call[:2] / "tile" / "entries").rglob("*") if file.is_file()]


def audit(scene: Scene, transcript: Transcript, *words: str | Path) -> subprocess.CompletedProcess[str]:
    shown = ["KEY" if words[index - 1] == "--key" else str(word) for index, word in enumerate(words)]
    transcript.code(f"# gateway audit {' '.join(shown).replace(f'{scene.data.parent}/', '')}")
    return subprocess.run(
        gateway_command("audit", *words), env=dict(scene.environment), cwd=ROOT,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
