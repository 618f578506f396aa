"""The summary that lies on the desk in the morning."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from responder.core.damage import AuditRecord, Cost, Counts, Damage, Usage, Window
from responder.core.incident import Event, Incident, LeakedKey, State, to_json
from responder.core.key import Owner
from responder.core.notice import Audience, Channel, Delivery, Notice, Topic
from responder.core.sighting import Alert, Sighting, Source
from responder.summary import headline, json_text, markdown

START = datetime(2026, 11, 23, 6, 12, 7, 120_000, tzinfo=UTC)
SENT = Notice(
    "n1",
    Audience.OWNER,
    Topic.REVOKED,
    Channel.MAIL,
    "ada@example.com",
    Delivery.SENT,
    2,
    START + timedelta(seconds=2),
)
RECEIVED = ((0, "received"), (10, "matched"), (12, "decided"))
REQUESTED = (*RECEIVED, (340, "revoke_requested"))
REVOKED = (*REQUESTED, (1200, "revoked"))
DEAD = (*REVOKED, (42_400, "confirmed_dead"))


def incident(events: tuple[tuple[int, str], ...] = DEAD, **changes: Any) -> Incident:
    values: dict[str, Any] = {
        "id": "inc_4mT9",
        "state": State.CLOSED,
        "disposition": "revoked",
        "provider": "openai",
        "account": "default",
        "family": "openai-project",
        "key": LeakedKey(
            "sk-proj-…x3Qd",
            "key_7Qd",
            "nightly run",
            "proj_9",
            "payments",
            Owner("user", "user_1", "Ada Lovelace", "ada@example.com"),
        ),
        "evidence": "probe",
        "decision": "revoke",
        "reason": "Proved by probe to be key key_7Qd.",
        "confirmed_dead": any(what == "confirmed_dead" for _, what in events),
        "opened_at": START,
        "sightings": (
            Sighting(
                Source.GITHUB_PUSH, "p", "https://github.com/a/b/blob/c/d.py#L1", START - timedelta(seconds=3), "d1"
            ),
        ),
        "timeline": tuple(
            Event(START + timedelta(milliseconds=ms), what, {"status": 200} if what == "revoked" else {})
            for ms, what in events
        ),
        "notices": (SENT,),
    }
    return Incident(**{**values, **changes})


def test_the_whole_story_of_a_closed_incident() -> None:
    """Read top to bottom it answers: what, how fast, where, why, who knows, what is left."""
    page = markdown(incident())
    assert page.startswith(
        "# Incident `inc_4mT9`: OpenAI key `sk-proj-…x3Qd`\n\n**The key was deleted and no longer works, "
    )
    for line in (
        "- Deletion requested 340 ms after we were told",
        "- Deletion confirmed 1.2 s after we were told",
        "- Seen dead 42.4 s after we were told",
        "- Readable by others for 45.4 s, as far as is known",
        "- a push to GitHub, 2026-11-23 06:12:04 UTC: <https://github.com/a/b/blob/c/d.py#L1>",
        "| 2026-11-23 06:12:08.320 | 1.2 s | OpenAI confirmed that the key is deleted | `status=200` |",
        r"- Reason: Proved by probe to be key key\_7Qd.",
        "| owner | `ada@example.com` | revoked | mail | sent | 2 | 2026-11-23 06:12:09 UTC |",
        "## What is still open\n\n- Nothing.",
    ):
        assert line in page
    assert page.index("## How fast") < page.index("## Where it was seen") < page.index("## What is still open")


@pytest.mark.parametrize(
    ("events", "changes", "sentence"),
    [
        (DEAD, {}, "The key was deleted and no longer works, 42.4 s after we were told."),
        ((*REQUESTED, (42_400, "confirmed_dead")), {}, "was seen dead and no longer works"),
        (REVOKED, {"disposition": None}, "confirmed that the key is deleted; it has not been seen dead yet"),
        (REQUESTED, {"disposition": None}, "requested and is not confirmed; assume that it still works"),
        ((*RECEIVED, (20, "would_revoke")), {"disposition": None}, "Nothing was deleted: in observe mode"),
        (RECEIVED, {"disposition": None, "state": State.HELD}, "A person has to decide; nothing was deleted"),
        (RECEIVED, {"disposition": None, "state": State.OPEN}, "Nothing was deleted so far."),
        (RECEIVED, {"disposition": "already_dead"}, "already out of use when we were told"),
        (RECEIVED, {"disposition": "not_ours"}, "belongs to no key of ours"),
        (RECEIVED, {"disposition": "dismissed"}, "A person decided to leave the key alone"),
        ((*REVOKED, (900_000, "still_alive")), {"disposition": None}, "The leaked token still works"),
    ],
)
def test_the_outcome_is_one_true_sentence(
    events: tuple[tuple[int, str], ...], changes: dict[str, Any], sentence: str
) -> None:
    """It is all that many will read; "no longer works" needs to have been seen."""
    matter = incident(events, **changes)
    assert sentence in headline(matter)
    assert ("no longer works" in headline(matter)) == matter.confirmed_dead
    assert f"**{headline(matter)}**" in markdown(matter)


@pytest.mark.parametrize(
    ("events", "changes", "item"),
    [
        (REVOKED, {}, "Waiting to see the key dead."),
        (REQUESTED, {}, "Waiting for the provider's answer."),
        (
            (*RECEIVED, (1, "would_revoke")),
            {},
            "Delete the key by hand, or leave observe mode and approve it.",
        ),
        (RECEIVED, {"state": State.HELD}, "`responder incidents approve inc_4mT9`"),
        (RECEIVED, {"state": State.OPEN}, "the responder keeps looking"),
        (DEAD, {"notices": ()}, "The owner has not been told"),
        (
            DEAD,
            {"notices": (Notice("n", Audience.OWNER, Topic.REVOKED, Channel.MAIL, "a@b.example", Delivery.FAILED),)},
            "The message to `a@b.example` (revoked) failed: tell them another way.",
        ),
        (
            DEAD,
            {"sightings": (Sighting(Source.GITHUB_ALERT, "a", None, START, "d", Alert(1, 2)),)},
            "The alert at GitHub is not closed.",
        ),
    ],
)
def test_what_is_left_to_do_is_named(events: tuple[tuple[int, str], ...], changes: dict[str, Any], item: str) -> None:
    """Nothing ends silently."""
    page = markdown(incident(events, **changes))
    assert item in page[page.index("## What is still open") :]


def test_an_incident_of_which_nothing_is_known_can_be_written_up() -> None:
    """The first minute of every incident looks like this."""
    page = markdown(
        incident(
            (),
            state=State.OPEN,
            disposition=None,
            decision=None,
            reason="",
            evidence="none",
            key=LeakedKey("sk-proj-…x3Qd"),
            sightings=(),
            notices=(),
        )
    )
    assert "| Owner | none |" in page
    assert "Decision: none yet" in page


def test_names_cannot_leave_their_code_span_or_their_cell() -> None:
    """They are strangers' words."""
    key = LeakedKey("sk-proj-…x3Qd", "k`|<b>", "a`b|c\n# d <script>", "p", "[x](https://evil.example)")
    page = markdown(incident(key=key))
    assert "| Key | `a'b¦c # d <script>` `sk-proj-…x3Qd` |" in page
    assert "`[x](hxxps[:]//evil[.]example)`" in page
    assert not re.search(r"^# d", page, re.MULTILINE)


def test_json_is_the_fixed_form() -> None:
    """One shape for programs, whoever prints it."""
    matter = incident()
    assert json.loads(json_text(matter)) == to_json(matter)
    assert json_text(matter).endswith("}\n")
    assert "sk-proj-…x3Qd" in json_text(matter)


def used(**changes: Any) -> Damage:
    span = Window(START - timedelta(seconds=7), START + timedelta(seconds=42))
    week = Window(START - timedelta(days=8), START - timedelta(days=1))
    values: dict[str, Any] = {
        "asked_at": START + timedelta(seconds=43),
        "window": span,
        "usage": Usage(span, (("gpt-5`|mini", Counts(1, 12_000, 100, 2400)),)),
        "usage_before": Usage(week, (("gpt", Counts(84, 0, 0, 0)),)),
        "cost": Cost(span, Decimal("0.03"), "usd"),
        "records": (
            AuditRecord(START - timedelta(days=90), "api_key.created", "ada@example.com", "192.0.2.10"),
            AuditRecord(START + timedelta(seconds=1), "api_key.deleted", "[x](https://evil.example)"),
        ),
        "asked_again_at": START + timedelta(hours=1),
    }
    return Damage(**{**values, **changes})


def test_what_the_key_was_used_for_stands_with_the_time_of_the_query() -> None:
    """Everybody asks "what did it cost us" first; the answer changes for hours, and must say so."""
    page = markdown(incident(damage=used()))
    section = page[page.index("## What it was used for (preliminary)") : page.index("## Who was told")]
    for line in (
        "Preliminary: what OpenAI had counted when we asked at 2026-11-23 06:12:50 UTC. ",
        " We ask again at 2026-11-23 07:12:07 UTC.",
        "| Preliminary | From exposure to death | Before, a day |",
        "| Counted | 2026-11-23 06:12:00 UTC to 2026-11-23 06:12:49 UTC | 7 days until 2026-11-22 06:12:07 UTC |",
        "| Requests | 1 | 12.0 |",
        "| Input tokens | 12,000 | 0.0 |",
        "| of these cached | 100 | 0.0 |",
        "| Cost | 0.0300 USD |  |",
        "- `gpt-5'¦mini`: 1 request, 12,000 input and 2,400 output tokens",
        "- 2026-08-25 06:12:07 UTC: `api_key.created` by `ada@example.com` from `192.0.2.10`",
        "- 2026-11-23 06:12:08 UTC: `api_key.deleted` by `[x](hxxps[:]//evil[.]example)`",
    ):
        assert line in section


def test_an_absent_permission_is_a_line_in_the_summary() -> None:
    """An empty section would read as no damage."""
    lines = ("could not be read: usage, refused with status 403 missing_scopes",)
    page = markdown(incident(damage=used(usage=None, usage_before=None, cost=None, records=None, unread=lines)))
    assert r"- could not be read: usage, refused with status 403 missing\_scopes" in page
    assert "Requests" not in page


def test_nothing_is_said_of_use_before_the_provider_was_asked() -> None:
    """Not asked is neither much nor little."""
    assert "used for" not in markdown(incident())
    assert "damage" not in to_json(incident())


def test_the_json_says_preliminary_as_well() -> None:
    """Programs sum up figures, and must be able to tell when these were had."""
    told = json.loads(json_text(incident(damage=used())))["damage"]
    assert told["preliminary"] is True
    assert told["asked_at"] == "2026-11-23T06:12:50.120Z"
    assert told["usage"]["requests"] == 1
    assert told["cost"]["amount"] == "0.03"


def test_many_records_show_the_creation_and_the_last() -> None:
    """A thief who changes a key a hundred times must not push its deletion off the page."""
    records = [AuditRecord(START + timedelta(seconds=n), f"api_key.change{n}", "ada") for n in range(100)]
    page = markdown(incident(damage=used(records=tuple(records))))
    assert "`api_key.change0`" in page
    assert "`api_key.change99`" in page
    assert "`api_key.change50`" not in page
