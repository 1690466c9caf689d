"""Equal mailboxes are equal strings; what is no address is one documented error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay import address as address_module
from relay.address import BadAddress, canonical_address, canonical_domain, domain_of


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("User1@Mailsac.COM", "user1@mailsac.com"),
        ("  a@b.test ", "a@b.test"),
        ("a+tag@b.test", "a+tag@b.test"),
        ("o'brien@b.test", "o'brien@b.test"),
        ("test@localhost", "test@localhost"),
        ("a@my_host.internal", "a@my_host.internal"),
        ('"plain"@b.org', "plain@b.org"),
        ('"A b"@b.org', '"a b"@b.org'),
        ('"a,b"@b.org', '"a,b"@b.org'),
        ("postmaster@bücher.org", "postmaster@xn--bcher-kva.org"),
        ("postmaster@XN--BCHER-KVA.org", "postmaster@xn--bcher-kva.org"),
        ("Jürgen@b.org", "jürgen@b.org"),
        ("ju\u0308rgen@b.org", "jürgen@b.org"),
        ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
    ],
)
def test_canonical(written: str, canonical: str) -> None:
    assert canonical_address(written) == canonical
    assert canonical_address(canonical) == canonical


@pytest.mark.parametrize(
    "text",
    ["", "@", "a", "a@", "@b.test", "a@@b.test", "a b@b.test", "a@b..test", ".a@b.test", "a.@b.test", "a@-b.test",
     "a\n@b.test", "a@b.test\r\nBcc: x", "a@b.test\x00", "<a@b.test>", "Ann <a@b.test>", "a@[127.0.0.1]",
     f"{'a' * 65}@b.test", f"a@{'b' * 64}.test", f"a@{'b.' * 130}test", "\ud800@b.test", "x" * 100_000],
)  # fmt: skip
def test_not_an_address(text: str) -> None:
    with pytest.raises(BadAddress) as caught:
        canonical_address(text, member="email")
    assert caught.value.member == "email"
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [("Example.COM.", "example.com"), ("bücher.org", "xn--bcher-kva.org"), ("localhost", "localhost")],
)
def test_domains(written: str, canonical: str) -> None:
    assert canonical_domain(written) == canonical


@pytest.mark.parametrize("text", ["", ".", "a@b.test", "a b", "a..b", "-a.test", "x" * 300, "a/b", "\x00.test"])
def test_not_a_domain(text: str) -> None:
    with pytest.raises(BadAddress):
        canonical_domain(text)


@given(st.text() | st.from_regex(r"\A[^@\n]{0,20}@[^@\n]{0,30}\Z"))
def test_any_text_is_canonical_and_stays_so_or_is_refused(text: str) -> None:
    try:
        canonical = canonical_address(text)
    except BadAddress:
        return
    assert canonical_address(canonical) == canonical
    assert canonical_domain(domain_of(canonical)) == domain_of(canonical)
    assert not set(canonical) & set("\r\n\x00{}") - set("{}")


@given(st.text())
def test_any_text_is_a_domain_and_stays_one_or_is_refused(text: str) -> None:
    try:
        canonical = canonical_domain(text)
    except BadAddress:
        return
    assert canonical_domain(canonical) == canonical
    assert canonical.isascii()


@pytest.mark.parametrize("length", [62, 63])
def test_quotes_count_among_the_octets_of_a_local_part(length: int) -> None:
    """What is stored under a name must be found under it again."""
    address = f'"{"a b" * 30}'[: length + 1] + '"@example.com'
    if length <= 62:
        assert canonical_address(canonical_address(address)) == address
    else:
        with pytest.raises(BadAddress, match="too long"):
            canonical_address(address)


def test_what_is_too_long_is_not_remembered() -> None:
    before = address_module._canonical_address.cache_info().currsize
    for number in range(10):
        with pytest.raises(BadAddress):
            canonical_address(f"{number}{'x' * 20_000}@example.com")
    assert address_module._canonical_address.cache_info().currsize == before
