"""What is kept beside the facts comes back byte for byte."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.call import Request
from gateway.core.payload import Answer, pack_answer, pack_request, unpack_answer, unpack_request

LATIN = st.text(st.characters(max_codepoint=255))
FIELDS = st.lists(st.tuples(st.binary(), st.binary())).map(tuple)
HEADERS = st.lists(st.tuples(LATIN, LATIN)).map(tuple)


@given(st.builds(Request, system=st.text(), method=LATIN, target=LATIN, headers=HEADERS, body=st.binary()))
def test_a_request_comes_back(request):
    assert unpack_request(pack_request(request)) == request


@given(st.builds(Answer, status=st.integers(100, 599), headers=FIELDS, body=st.binary()))
def test_an_answer_comes_back(answer):
    assert unpack_answer(pack_answer(answer)) == answer


def test_a_body_that_looks_like_our_framing_stays_a_body():
    request = Request(system="s", method="POST", target="/", body=b'19\n["x","GET","/",[]]\n\x00\xff')
    assert unpack_request(pack_request(request)) == request


def test_repeated_headers_keep_their_order():
    answer = Answer(status=200, headers=((b"link", b"a"), (b"x", b"1"), (b"link", b"b")), body=b"")
    assert unpack_answer(pack_answer(answer)).headers == answer.headers
