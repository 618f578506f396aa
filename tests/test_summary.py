"""The summary that lies on the desk in the morning."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

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
        ((*RECEIVED, (1, "would_revoke")), {}, "Delete the key by hand, or leave observe mode."),
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
