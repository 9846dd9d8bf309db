"""Credentials are recognised by their forms and by telling names; what facts hold is not taken for one."""

import secrets

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.credentials import FORMS, credentials_in
from tests.core.test_lives import POSSIBLE

A40, H32 = "a1B2c3D4e5" * 4, "0123456789abcdef" * 2
SAMPLES = {  # put together here, so that this file holds none
    "a gateway key": ["gk_" + A40, "gp_" + secrets.token_urlsafe(32)],
    "the ledger's signing key": ["PRIVATE+" + "KEY+gateway.acme.example+12345678+" + A40],
    "a webhook secret": ["whsec_" + A40, "whsk_" + A40],
    "a private key": ["-----BEGIN " + name + "PRIVATE KEY-----" for name in ("", "RSA ", "EC ", "OPENSSH ")],
    "an AWS access key": ["AKIA" + "Q" * 16, "ASIA" + "7" * 16],
    "a Google key": ["AIza" + A40[:35], "GOCSPX-" + A40, "ya29." + A40],
    "an Azure key": ["AccountKey=" + A40 * 2],
    "a Stripe key": ["sk_" + "live_" + A40, "rk_" + "test_" + A40],
    "a GitHub token": ["ghp_" + A40, "ghs_" + A40, "github_pat_" + A40],
    "a GitLab token": ["glpat-" + A40],
    "a Slack token": ["xoxb-" + A40, "xoxe.xoxp-" + A40, "xapp-1-" + A40, "https://hooks.slack.com/services/T0AB/B0CD"],
    "a model provider's key": ["sk-" + A40, "sk-ant-" + A40, "sk-proj-" + A40, "hf_" + A40],
    "a package registry's token": ["npm_" + A40, "pypi-AgE" + A40],
    "a SendGrid or Twilio key": ["SG." + A40 + "." + A40, "SK" + H32],
    "a Shopify or Square token": ["shpat_" + H32, "sq0csp-" + A40],
    "a Vault or cloud token": ["hvs." + A40, "dop_v1_" + H32 * 2],
    "a JSON Web Token": ["eyJhbGciOi.".replace(".", "J9") + ".eyJzdWIiOiJ4In0." + A40],
    "a bearer token": ["Authorization: Bearer " + A40, "bearer " + A40],
    "a name and password (Basic)": ["Basic " + A40],
    "a password in a URL": ["postgres://app:hunter22@db.example/orders", "redis://:x@h https://bob:secret@a"],
}


def test_there_is_a_sample_of_every_form():
    assert set(SAMPLES) == set(FORMS)


@pytest.mark.parametrize(
    ("what", "sample"), [(what, sample) for what, samples in SAMPLES.items() for sample in samples]
)
def test_a_credential_is_recognised_wherever_it_stands(what, sample):
    for text in (sample, f"I used {sample} for this", f"key={sample},", f"({sample})"):
        assert what in list(credentials_in(text)), text


@pytest.mark.parametrize("text", [
    "password=Tr0ub4dor3", "api_key: 9fK2mQ81zz", 'the "token" is "q8Zr41LmNv"', "client_secret = x1Y2z3w4v5u6",
])  # fmt: skip
def test_something_random_behind_a_telling_name_is_recognised(text):
    assert list(credentials_in(text)) == ["something random behind a telling name"]


@pytest.mark.parametrize("text", [
    "the customer asked for it", "Charge/ch_3MtwBwLkdIwHu7ix28a3tqPa", "f" * 64, "1795168801000-0", "msg_2b8cTqJ1",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "basic authentication failed", "bearer of bad news",
    "bearer authentication-required", "password: required", "token is missing", "grant-5900000000000000000001",
    "asserted by webhook of finance", "https://api.stripe.com/v1/refunds", "token: deadbeefdeadbeef", "",
    "connection reset by peer (104)", "secretary: Johannsen", "stripe.create_refund",
])  # fmt: skip
def test_what_facts_hold_is_none(text):
    assert list(credentials_in(text)) == []


def test_no_fact_of_an_ordinary_life_is_taken_for_one():
    for life in POSSIBLE.values():
        for append in life:
            for fact in append if isinstance(append, tuple) else (append,):
                assert not list(credentials_in(str(orjson.dumps(fact, default=str), "utf-8").replace('"', " ")))


@given(st.text(alphabet='aA0-_.:/@= "+', max_size=400))
def test_it_takes_any_text_and_gives_none_of_it(text):
    assert all(name in FORMS or "telling name" in name for name in credentials_in(text))
