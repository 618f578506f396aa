"""``responder audit verify``: whole, or broken and where."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from responder.simulator import World
from responder.store import audit
from tests.running import Group, eventually


@pytest.fixture
def group(world: World, make_group: Callable[..., Group]) -> Group:
    """A responder that has revoked a key, and stopped."""
    key = world.openai.add_key("leaked", owner=world.openai.add_user("Ada", "ada@acme.example"))
    made = make_group(world).start("serve").wait_until_ready()
    assert made.client.post("/v1/reports", json={"token": key.value}).status_code == 202
    assert made.closed(key.id)["disposition"] == "revoked"
    eventually(lambda: "audit_head" in made.log, "the end of the record to be logged")
    made.client.close()
    made.stop()
    return made


def test_a_record_that_nobody_touched_is_whole_and_any_other_is_broken(group: Group) -> None:
    """Every decision and every call that changed something is in it, and none can be taken out."""
    run = group.run("audit", "verify", "--json")
    assert run.returncode == 0, run.stderr
    said = json.loads(run.stdout)
    assert said["whole"] is True
    assert group.run("audit", "verify", "--head", said["head"]).returncode == 0
    assert group.run("audit", "verify", "--head", "00" * 31 + "01").returncode == 1
    with group.store.read() as tx:
        assert audit.verify(tx).entries == said["entries"]
        settings = audit.last(tx, "settings_changed")
        assert audit.last(tx, "revoke_requested") is not None
        assert audit.last(tx, "confirmed_dead") is not None
    assert settings is not None
    assert settings["mode"] == "enforce"
    assert group.environment["RESPONDER_OPENAI__ADMIN_KEY"] not in json.dumps(settings)

    with closing(sqlite3.connect(group.data / "responder.sqlite")) as file, file:
        file.execute("DROP TRIGGER audit_update_refused")
        file.execute("UPDATE audit SET detail = '{}' WHERE event = 'revoke_requested'")
    run = group.run("audit", "verify")
    assert run.returncode == 1
    assert "Broken at entry" in run.stdout
