"""A partner's records: each by itself, and nothing told about whose a token is."""

import hashlib
import json
from collections.abc import Iterator

import pytest

from responder.core.sighting import Source
from responder.sources import Material, Reach, doors
from responder.sources.github_partner import feedback
from responder.sources.payload import decode_list
from tests.grown import NOON, token

REFS = {"of": "partner_github_0123", "first": 50}
UNREADABLE = [
    "null", "7", '"text"', "[]", "{}", '{"token":null}', '{"token":7}', '{"token":""}', '{"token":["a"]}',
    '{"token":{"a":1}}', '{"token":true}', '{"token":"' + "x" * 4097 + '"}', '{"token":"\\ud800"}', '{"token":NaN}',
    '{"token":"a","token":"b"}', '{"token":' + "9" * 21 + "}", '{"Token":"a"}',
]  # fmt: skip


def _found(body: str, refs: dict[str, object] | None = None) -> Iterator[Material]:
    return doors()["github_partner"].material(Reach(None), {**REFS, **(refs or {})}, body.encode(), NOON)


@pytest.mark.parametrize("unreadable", UNREADABLE)
def test_a_record_that_cannot_be_read_harms_no_other(unreadable: str) -> None:
    """It is counted, and never called clean."""
    good = json.dumps({"token": "a-token"})
    first, second, gap = _found(f"[{good},{unreadable},{good}]")
    assert [first.content, second.content] == ["a-token", "a-token"]
    assert [first.place, second.place] == ["partner_github_0123/50", "partner_github_0123/52"]
    assert first.gap is None
    assert gap.gap == "1 of 3 records cannot be read"
    assert gap.content == ""


@pytest.mark.parametrize(
    "remarks",
    ['"type":7', '"url":null', '"url":{"a":1,"a":2}', '"url":"\\ud800"', '"source":[]', '"more":NaN', '"type":"x y"',
     '"type":1e999', '"":[[[]]]', '"source":"' + "x" * 9999 + '"'],
)  # fmt: skip
def test_what_else_stands_in_a_record_never_costs_its_token(remarks: str) -> None:
    """The token decides; the rest is a remark."""
    (only,) = _found('[{"token":"a-token",' + remarks + "}]")
    assert (only.content, only.gap, only.source, only.where) == ("a-token", None, Source.GITHUB_PARTNER, None)


def test_an_address_is_shown_only_if_a_person_may_open_it() -> None:
    """It was written by whoever leaked the token, and may hold it."""
    addresses = [
        "https://github.com/a/b/blob/c/.env",
        "javascript:alert(1)",
        f"https://x.example/{token().reveal()}",
        "",
    ]
    found = _found(json.dumps([{"token": "t", "url": one} for one in addresses]))
    assert [piece.where for piece in found] == [addresses[0], None, None, None]


def test_one_sighting_leads_back_to_its_own_record() -> None:
    """Having one token at hand again must not scan five hundred."""
    door = doors()["github_partner"]
    body = json.dumps([{"token": f"t{n}"} for n in range(5)])
    (only,) = _found(body, dict(door.narrow(REFS, "partner_github_0123/53")))
    assert (only.content, only.place) == ("t3", "partner_github_0123/53")


def test_a_shredded_body_holds_nothing() -> None:
    """And is no error."""
    assert list(doors()["github_partner"].material(Reach(None), REFS, None, NOON)) == []


def test_feedback_says_what_a_token_looks_like_and_repeats_none() -> None:
    """An answer that held a token would hand it to whoever reads the sender's log."""
    real = token(1).reveal()
    said = feedback({"token": real, "type": "openai_api_key"}, lambda text: text == real)
    digest = hashlib.sha256(real.encode()).hexdigest()
    assert said.model_dump() == {"token_hash": digest, "token_type": "openai_api_key", "label": "true_positive"}
    short = token(2, "openai-user-legacy").reveal()
    for entry in (
        {"token": real, "type": real},
        {"token": real, "type": short},
        {"token": real, "type": "a b"},
        {"token": real, "type": 7},
    ):
        answer = feedback(entry, lambda _text: False)
        assert (answer.token_type, answer.label) == ("", "false_positive")
        assert short not in answer.model_dump_json()
        assert real not in answer.model_dump_json()


@pytest.mark.parametrize("unreadable", UNREADABLE)
def test_feedback_on_what_cannot_be_read_is_false_positive(unreadable: str) -> None:
    """One answer to every record, in order, whatever it is; a scanner never sees what is no record."""
    (entry,) = decode_list(f"[{unreadable}]".encode())
    said = feedback(entry, lambda _text: True)
    assert said.label == "false_positive"
    assert len(said.token_hash) in (0, 64)
