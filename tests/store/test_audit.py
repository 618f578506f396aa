"""The audit record: whole, or seen to be broken."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from responder.store import Store, StoreUnavailable, audit, incidents
from responder.store.tables import audit as table

AT = datetime(2026, 11, 23, 6, 12, 0, 123456, tzinfo=UTC)


def _record(store: Store, count: int = 5) -> None:
    for number in range(count):
        with store.begin("record") as tx:
            audit.record(tx, AT + timedelta(seconds=number), "revoked", f"inc_{number}", {"key": f"key_{number}"})


def _verify(store: Store, known: str | None = None) -> audit.Head:
    with store.read() as tx:
        return audit.verify(tx, known)


def test_a_record_that_nobody_touched_is_whole(store: Store) -> None:
    """And any head that was logged before is found in it."""
    heads = [_verify(store).digest]
    for _ in range(3):
        _record(store, 2)
        heads.append(_verify(store).digest)
    assert [_verify(store, head) for head in heads] == [audit.Head(6, heads[-1])] * 4


@pytest.mark.parametrize(
    "change",
    [{"event": "closed"}, {"subject": "inc_9"}, {"detail": {"key": "key_9"}}, {"at": AT}, {"digest": audit.START}],
    ids=lambda change: next(iter(change)),
)
def test_an_entry_that_was_changed_is_named(store: Store, change: dict[str, object]) -> None:
    """Whoever covers up a deletion shows where."""
    _record(store)
    with store.begin("forge") as tx:
        tx.execute(sa.update(table).where(table.c.id == 3).values(change))
    with pytest.raises(audit.Broken) as broken:
        _verify(store)
    assert broken.value.entry == 3


def test_an_entry_that_was_taken_out_is_missed(store: Store) -> None:
    """Also where those behind it were numbered anew."""
    _record(store)
    with store.begin("forge") as tx:
        tx.execute(sa.delete(table).where(table.c.id == 2))
    with pytest.raises(audit.Broken) as broken:
        _verify(store)
    assert broken.value.entry == 2
    with store.begin("forge") as tx:
        for number in (3, 4, 5):
            tx.execute(sa.update(table).where(table.c.id == number).values(id=number - 1))
    with pytest.raises(audit.Broken):
        _verify(store)


def test_an_end_that_was_cut_off_is_missed_by_the_head_that_was_logged(store: Store) -> None:
    """A shorter chain holds by itself; only what was logged elsewhere tells."""
    _record(store)
    head = _verify(store).digest
    with store.begin("forge") as tx:
        tx.execute(sa.delete(table).where(table.c.id > 3))
    assert _verify(store).entries == 3
    with pytest.raises(audit.Broken):
        _verify(store, head)


def test_what_was_undone_is_not_recorded(store: Store) -> None:
    """Not even by the next transaction on the same connection."""

    def fail() -> None:
        with store.begin("fail") as tx:
            audit.record(tx, AT, "revoked", "inc_1", {})
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with store.begin("other") as tx:
        incidents.note(tx, "inc_2", "received", AT)
    assert _verify(store).entries == 0


def test_many_at_once_make_one_chain(store: Store) -> None:
    """Several workers write to it at the same time."""

    def work(number: int) -> None:
        with store.begin("record") as tx:
            incidents.note(tx, f"inc_{number}", "decided", AT, {"decision": "hold"})
            incidents.note(tx, f"inc_{number}", "closed", AT, {"disposition": "dismissed"})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    assert _verify(store).entries == 80


@pytest.mark.parametrize("statement", ["UPDATE audit SET subject = 'x'", "DELETE FROM audit"])
def test_the_database_itself_refuses_to_change_it(upgraded: Store, statement: str) -> None:
    """By a trigger: a slip in our own code must not be able to either."""
    _record(upgraded)
    with pytest.raises(StoreUnavailable), upgraded.begin("forge") as tx:
        tx.execute(sa.text(statement))
    assert _verify(upgraded).entries == 5
