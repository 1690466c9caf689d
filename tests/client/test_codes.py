"""The one-time code that a person would copy out of a mail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.client.codes import code_in


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Your verification code is 482913.", "482913"),
        ("482913 is your Example code", "482913"),
        ("Hi Ann,\n\nuse this code to sign in:\n\n  482 913\n\nIt expires in 10 minutes.", "482913"),
        ("Your code: 12-34-56? No: your PIN is 0042.", "0042"),
        ("G-482913 is your Google verification code.", "482913"),
        ("Enter the code X7K9-P2QM to confirm. Order 99281 ships on 2026-11-21.", "X7K9-P2QM"),
        ("Dein Bestätigungscode lautet: 771204", "771204"),
        ("Votre code de vérification : 771204", "771204"),
        ("您的验证码是：771204，请勿泄露", "771204"),
        ("Welcome!\n\n771204\n\nBye", "771204"),
        ("Code: 2019", "2019"),
        ("Your code:\n\n1 2 3 4 5 6\n\nBye", "123456"),
        ("Your code is 1\u00a02\u00a03\u00a04.", "1234"),
        ("Your code: 1 2 3 4 5 6 7 8 9 0 1", None),
        ("Your code, number 1 482913", "482913"),
        ("Steps 1 2 3 to a code", None),
        ("Copyright 2026 Example. Confirm at https://example.com/confirm/482913?code=111222", None),
        ("Invoice 20261121 for $1234 is attached, call +49 30 123456", None),
        ("No number here, only a token.", None),
        ("Your code 482913 (order 555666777 of 2026)", "482913"),
        ("", None),
    ],
)
def test_the_code_of_a_mail(text: str, code: str | None) -> None:
    assert code_in(text) == code


@given(st.text(alphabet=st.sampled_from("0123456789AZcode: \n-.G验"), max_size=400))
def test_whatever_stands_there_it_is_a_code_or_none(text: str) -> None:
    found = code_in(text)
    assert found is None or (3 <= len(found) <= 21 and any(character.isdigit() for character in found))


def test_a_long_text_takes_no_long_time() -> None:
    assert code_in("code 1x " * 200_000) is None
    assert code_in("A" * 1_000_000 + "1") is None
