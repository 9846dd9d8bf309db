"""Copies that a tool's `record:` asks for, as facts and as bytes beside them; in the append of what they are copies of.

Of a tool without `record:` this does nothing at all. A copy is bound to its fact by a digest that is salted with the
call's own salt, which is kept with the copy and destroyed with it. It must never write what the mask covers, and never
keep a call from going on: what cannot be copied is recorded as a digest, and why.
"""

import hashlib
from typing import Literal

from gateway.core.admit import Admission
from gateway.core.facts import Recorded
from gateway.core.notices import arguments
from gateway.core.payload import Answer
from gateway.core.recording import KEPT, Copy, copy_of_answer, copy_of_input
from gateway.life import Life

Part = Literal["input", "edited", "output"]


def record_input(life: Life, now: int) -> None:
    """Of a call that is about to be written for the first time: what was asked for."""
    admission = life.admission
    if admission is None or admission.tool.record is None:
        return
    if any(isinstance(fact, Recorded) and fact.part == "input" for fact in life.facts):
        return  # somebody else was first, and this request is tried again
    _keep(life, "input", copy_of_input(admission.tool.record, arguments(admission)), admission, now)


def record_edited(life: Life, now: int) -> None:
    """What a person made of the arguments."""
    admission = life.admission
    if admission is not None and admission.tool.record is not None:
        _keep(life, "edited", copy_of_input(admission.tool.record, arguments(admission)), admission, now)


def record_answer(life: Life, answer: Answer | None, admission: Admission, now: int) -> None:
    """What the system answered, in the append that says so. `answer`: None if not all of it is in hand."""
    if admission.tool.record is not None:
        _keep(life, "output", copy_of_answer(admission.tool.record, answer), admission, now)


def _keep(life: Life, part: Part, copy: Copy | None, admission: Admission, now: int) -> None:
    record = admission.tool.record
    if copy is None or record is None:
        return
    if copy.how == "digest":
        life.add(Recorded(part=part, how="digest", why=copy.why, at=now))
        return
    kept = admission.salt + copy.data  # so that whoever has the copy can check it, and nobody else guess it
    keep = round(record.keep_seconds * 1000)
    life.add(
        Recorded(
            part=part, how=copy.how, digest=hashlib.sha256(kept).hexdigest(), size=len(copy.data), keep=keep,
            masked=copy.masked, at=now,
        )
    )  # fmt: skip
    life.payload[f"{KEPT}{part}.{keep}"] = kept
