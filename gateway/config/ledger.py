"""The section `ledger` of routes.yaml: what one mapping may contain, and the values that it becomes.

Whether the key, the directory and the store are really there is not written in the file: that is asked where they are
used, and by `gateway check`.
"""

import re
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.config import addresses
from gateway.config.field_types import Duration, ResolvedText, Text, UpstreamAddress, WebhookAddress
from gateway.config.models import SecretModel, Strict
from gateway.config.reading import Definition, Reading
from gateway.core.ledger_settings import (
    DAY_SECONDS,
    Anchor,
    AnchorFile,
    AnchorWebhook,
    Bucket,
    LedgerSettings,
    SharedDirectory,
    Store,
    Trim,
)

ORIGIN = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._~/-]{0,198}[A-Za-z0-9])?")
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
PREFIX = re.compile(r"[A-Za-z0-9._~=-]+(/[A-Za-z0-9._~=-]+)*")


def checked_origin(value: str) -> str:
    """A name that a log may have. ValueError says what is wrong with it."""
    if not ORIGIN.fullmatch(value) or "//" in value:
        raise ValueError(
            "must be a name without a scheme and spaces, such as gateway.acme.example/audit, of at most 200 letters, "
            "digits and . _ ~ / -"
        )
    return value


def _bucket(value: str) -> str:
    if not BUCKET.fullmatch(value):
        raise ValueError("must be the name of a bucket, such as acme-gateway-ledger, and not an address")
    return value


def _prefix(value: str) -> str:
    if not PREFIX.fullmatch(value) or {".", ".."} & set(value.split("/")):
        raise ValueError("must be a path such as gateway/ledger, without a slash at either end")
    return value


def _endpoint(value: addresses.Upstream) -> addresses.Upstream:
    if addresses.refused_address(value.host, ()):
        raise ValueError("must not be a link-local or cloud-metadata address")
    return value


class BucketModel(Strict):
    expected: ClassVar[str] = "a mapping such as {bucket: acme-ledger, region: eu-central-1}"
    bucket: Annotated[ResolvedText, AfterValidator(_bucket)]
    prefix: Annotated[str, AfterValidator(_prefix)] = ""
    endpoint: Annotated[UpstreamAddress, AfterValidator(_endpoint)] | None = None
    region: Text = "us-east-1"
    access_key: SecretModel | None = None
    secret_key: SecretModel | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("must have both `access_key` and `secret_key`, or neither: then the machine's identity")
        return self


class StoreModel(Strict):
    expected: ClassVar[str] = "a mapping such as {directory: /mnt/shared/ledger} or {s3: {bucket: acme-ledger}}"
    directory: ResolvedText | None = None
    s3: BucketModel | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.directory is None) == (self.s3 is None):
            raise ValueError("must be exactly one of directory and s3")
        return self


class AnchorModel(Strict):
    expected: ClassVar[str] = "a mapping such as {webhook: https://..., secret: {env: NAME}} or {file: /else/where}"
    webhook: WebhookAddress | None = None
    secret: SecretModel | None = None
    file: ResolvedText | None = None
    every: Duration = 60.0

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.webhook is None) == (self.file is None):
            raise ValueError("must be exactly one of webhook and file")
        if self.webhook is not None and self.secret is None:
            raise ValueError("needs `secret`, which signs what is sent to the webhook")
        if self.file is not None and self.secret is not None:
            raise ValueError("must not have `secret`: that is of a webhook")
        return self


class TrimModel(Strict):
    expected: ClassVar[str] = "a mapping such as {after: 7d, beyond: 1000000}"
    after: Duration = 7 * DAY_SECONDS
    beyond: Annotated[int, Field(ge=1)] = 1_000_000


class LedgerModel(Strict):
    expected: ClassVar[str] = "a mapping such as {origin: gateway.example/audit, store: {directory: /mnt/shared}}"
    origin: Annotated[str, AfterValidator(checked_origin)] | None = None
    directory: ResolvedText | None = None
    key: SecretModel | None = None
    store: StoreModel | None = None
    anchors: list[AnchorModel] = []  # noqa: RUF012 - pydantic copies it
    trim: TrimModel = TrimModel()


def ledger_settings(definition: Definition | None, reading: Reading) -> LedgerSettings:
    """What the section says; its mistakes are noted, and then the value is of no use."""
    model = reading.validated(LedgerModel, definition) if definition else None
    if model is None:
        return LedgerSettings()
    return LedgerSettings(
        origin=model.origin or "",
        directory=model.directory or "",
        key=model.key.reference() if model.key else None,
        store=_store(model.store) if model.store else None,
        anchors=tuple(_anchor(anchor) for anchor in model.anchors),
        trim=Trim(after_seconds=model.trim.after, beyond=model.trim.beyond),
    )


def _store(model: StoreModel) -> Store:
    if model.s3 is None:
        return SharedDirectory(path=model.directory or "")
    s3 = model.s3
    return Bucket(
        name=s3.bucket,
        prefix=s3.prefix,
        endpoint=f"{s3.endpoint.origin}{s3.endpoint.base_path}" if s3.endpoint else "",
        region=s3.region,
        access_key=s3.access_key.reference() if s3.access_key else None,
        secret_key=s3.secret_key.reference() if s3.secret_key else None,
    )


def _anchor(model: AnchorModel) -> Anchor:
    if model.webhook is None:
        return AnchorFile(path=model.file or "", every_seconds=model.every)
    assert model.secret is not None, "the model demands it with a webhook"
    return AnchorWebhook(url=model.webhook, secret=model.secret.reference(), every_seconds=model.every)
