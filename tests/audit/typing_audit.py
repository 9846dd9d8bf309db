"""What somebody typed behind `gateway audit`, and what was answered."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from gateway.audit.cli import audit
from tests.sealed_log import SIGNER

KEY = str(SIGNER.verifier)


def typed(*words: str | Path, given: bytes | None = None) -> Result:
    """Its exit code, standard output and standard error. A traceback is no answer."""
    done = CliRunner().invoke(audit, [str(word) for word in words], input=given)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def told(*words: str | Path) -> Any:
    """The JSON on standard output of a command that went well."""
    done = typed(*words, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)
