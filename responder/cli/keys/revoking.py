"""``responder keys revoke``: the vendor's delete button, with the checks it lacks."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from responder.cli import Mistake, config_option, json_option
from responder.cli.keys import words
from responder.cli.keys.desk import Desk, desk, may_delete, yes_option

if TYPE_CHECKING:
    from responder.cli.keys.deletion import Deletion
    from responder.core.key import KnownKey
    from responder.core.revocation import Revocation
    from responder.proof import Account

_MOST_SIBLINGS = 10
Choice = Literal["yes", "no", "quit"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a revocation by hand ended.

    Attributes:
        outcome: ``revoked``, ``already_gone``, ``refused``, ``unknown``, ``declined`` or ``skipped``.
        said: one or more sentences.
        gone: seen gone from the list; None: not looked.
    """

    key: "KnownKey"
    outcome: str
    said: str
    gone: bool | None = None
    quit: bool = False

    @property
    def good(self) -> bool:
        """The key is not there any more, as far as anybody looked."""
        return self.outcome in ("revoked", "already_gone") and self.gone is not False

    def to_json(self) -> dict[str, Any]:
        return {"key": words.to_json(self.key), "outcome": self.outcome, "said": self.said, "seen_gone": self.gone}


@click.command(short_help="Delete one key.")
@config_option
@json_option
@click.argument("id_", metavar="ID")
@yes_option
@click.option("--no-wait", is_flag=True, help="Do not wait until the list no longer shows it.")
def revoke(config: Path | None, as_json: bool, id_: str, yes: bool, no_wait: bool) -> None:
    """Delete one key: shows whose it is and what will break, asks, deletes it and looks until it is gone.

    Exit 0: it is gone (with --no-wait: the provider says so); 1: it is not, or nobody knows; 2: a mistake.
    """
    with desk(config, as_json=as_json) as at:
        may_delete(at.config)
        check_can_ask(yes=yes)
        key, account = at.find(id_)
        ended = revoke_one(at, key, account, yes=yes, wait=not no_wait)
    at.say(ended.said)
    if as_json:
        click.echo(json.dumps(ended.to_json(), indent=2))
    sys.exit(0 if ended.good else 1)


def check_can_ask(*, yes: bool) -> None:
    """Refuse where a person would have to be asked and there is none.

    Raises:
        Mistake: no terminal, and no ``--yes``.
    """
    if not yes and not sys.stdin.isatty():
        raise Mistake("there is no terminal to ask on; to delete without being asked, add --yes")


def revoke_one(
    at: Desk, key: "KnownKey", account: "Account", *, yes: bool, wait: bool, unused_days: int | None = None
) -> Ended:
    """Show it, ask, delete it, look until it is gone."""
    from responder.assembly import now
    from responder.cli.keys.deletion import Deletion
    from responder.cli.keys.showing import is_unused
    from responder.core.errors import Refused, Unavailable

    try:
        listed = at.patiently(lambda: account.inventory.listed_now(key))
    except Refused as error:
        return Ended(key, "refused", _unreadable(at, key, account, error))
    except Unavailable as error:
        vendor = account.provider.provider
        said = f"Nothing was deleted: {vendor} cannot be asked about the key ({error.why}). Try again."
        return Ended(key, "unknown", said)
    deletion = Deletion(at.store, account, key, at.say, now)
    fresh = next((one for one in listed if one.id == key.id), None)
    if fresh is None:
        return _already_gone(at, deletion, key)
    key = replace(fresh, tier=key.tier)
    if at.is_own(key):
        said = "Not deleted: it looks like the very key that the responder runs on. Put another in its place first."
        return Ended(key, "refused", said)
    if unused_days is not None and not is_unused(key, unused_days, now()):
        return Ended(
            key, "skipped", f"Not deleted: it was used {words.ago(key.last_used_at, now())}, since the last list."
        )
    _show(at, key, listed, deletion.incident())
    choice = "yes" if yes else _ask(key, skipping=unused_days is not None, err=at.as_json)
    if choice != "yes":
        return Ended(key, "declined", "Not deleted.", quit=choice == "quit")
    return _delete(at, deletion, key, account, listed, wait=wait)


def _unreadable(at: Desk, key: "KnownKey", account: "Account", error: Any) -> str:
    if error.status in (401, 403):
        return f"Nothing was deleted. {at.whom_to_ask(key, account, error)}"
    return f"Nothing was deleted: {error}. Has its project been archived?"


def _already_gone(at: Desk, deletion: "Deletion", key: "KnownKey") -> Ended:
    """It is not listed: no reason to delete anything, nor to believe a single list."""
    at.say("It is not listed any more; looking again to be sure …")
    seen = deletion.watch(at.config.policy.verify_seconds)
    if seen.gone:
        return Ended(
            key, "already_gone", "Nothing to delete: the key is gone already, seen in three lists.", gone=True
        )
    return Ended(key, "unknown", f"Nothing was deleted: one list did not show it, but then: {seen.last}.", gone=False)


# --- what a person must know ----------------------------------------------------------------------


def _show(at: Desk, key: "KnownKey", listed: "Sequence[KnownKey]", incident: str | None) -> None:
    from responder.assembly import now
    from responder.core.key import Tier

    twins = sum(one.id != key.id and one.mask == key.mask for one in listed)
    used = (
        "never"
        if key.last_used_at is None
        else f"{words.ago(key.last_used_at, now())}, {words.minute(key.last_used_at)}"
    )
    project = words.line(key.project_name or "")
    facts = {
        "key": f"{words.line(key.name) or '(no name)'}  {words.redacted(key)}  {words.line(key.id)}",
        "project": "none: it belongs to the organization"
        if key.project is None
        else f"{project}  {words.line(key.project)}".strip(),
        "owner": words.person(key.owner),
        "created": f"{words.day(key.created_at)}, {words.ago(key.created_at, now(), 'unknown')}",
        "last used": used,
        "tier": "protected: a leak of it would wait for a person" if key.tier is Tier.PROTECTED else "standard",
    }
    if twins:
        facts["alike"] = (
            f"{words.number(twins, 'other key')} of this project look the same; deletion goes by id, they stay"
        )
    if incident is not None:
        facts["incident"] = f"{incident} asked for its deletion already; see: responder incidents show {incident}"
    at.say()
    for name, fact in facts.items():
        at.say(f"  {name:10} {fact}")
    for line in _what_breaks(key, listed):
        at.say(f"  {line}")
    at.say()


def _what_breaks(key: "KnownKey", listed: "Sequence[KnownKey]") -> list[str]:
    from responder.assembly import now
    from responder.core.key import KeyKind

    if key.last_used_at is None:
        lines = ["It was never used, as far as the provider tells; nothing is known to break."]
    else:
        used = words.ago(key.last_used_at, now())
        lines = [f"What breaks: whatever used it {used} is refused from then on. There is no undo."]
    if key.kind is KeyKind.ADMIN:
        lines.append("It is an admin key: automation that manages the organization with it stops.")
    if key.owner.kind == "service_account":
        siblings = siblings_of(key, listed)
        lines.append(f"The service account itself stays, with {_counted(siblings)}")
        lines += _named(siblings)
    return lines


def siblings_of(key: "KnownKey", listed: "Sequence[KnownKey]") -> "list[KnownKey]":
    """The other keys of the same service account."""
    return [
        one
        for one in listed
        if one.id != key.id and one.owner.kind == key.owner.kind and one.owner.id == key.owner.id
    ]


def _counted(siblings: "Sequence[KnownKey]") -> str:
    return words.number(len(siblings), "other key") + (":" if siblings else ".")


def _named(siblings: "Sequence[KnownKey]") -> list[str]:
    lines = [
        f"  {words.line(one.id)}  {words.redacted(one)}  {words.line(one.name)}" for one in siblings[:_MOST_SIBLINGS]
    ]
    return lines + ([f"  … and {len(siblings) - _MOST_SIBLINGS} more"] if len(siblings) > _MOST_SIBLINGS else [])


def _ask(key: "KnownKey", *, skipping: bool, err: bool) -> Choice:
    """Ask the person at the terminal; a protected key wants its name."""
    from responder.core.key import Tier

    name = words.line(key.name)
    names = {one for one in (name, key.id) if one}
    if key.tier is Tier.PROTECTED:
        asked, accepted = f"It is protected. Type {'its name' if name else 'its id'} to delete it all the same", names
    else:
        asked, accepted = "Type y or the key's name to delete it", names | {"y", "Y", "yes"}
    answer = click.prompt(
        asked + (", q to stop" if skipping else ""), default="", show_default=False, err=err
    ).strip()
    if answer in accepted:
        return "yes"
    return "quit" if skipping and answer in ("q", "quit") else "no"


# --- the deed, and the truth about it -------------------------------------------------------------


def _delete(
    at: Desk, deletion: "Deletion", key: "KnownKey", account: "Account", listed: "Sequence[KnownKey]", *, wait: bool
) -> Ended:
    from responder.core.revocation import Outcome

    answer = deletion.delete()
    vendor = account.provider.provider
    if answer.outcome is Outcome.REFUSED:
        return Ended(key, "refused", _refused(at, key, account, answer, listed))
    if answer.outcome is Outcome.UNKNOWN:
        said = (
            f"{vendor} did not say whether the key was deleted (last: {answer.detail}). It may still be alive. "
            "The same command reads the list first and goes on from there."
        )
        return Ended(key, "unknown", said)
    gone = answer.outcome is Outcome.ALREADY_GONE
    outcome, done = ("already_gone", "was gone already") if gone else ("revoked", "is deleted")
    if not wait:
        return Ended(key, outcome, f"{vendor} says that the key {done}. Nobody has looked whether it is gone.")
    at.say(f"{vendor} says that the key {done}; looking whether it is gone …")
    seen = deletion.watch(at.config.policy.verify_seconds)
    if seen.gone:
        said = f"The key {done} and no longer listed. Without the token itself it cannot be tried."
        return Ended(key, outcome, said, gone=True)
    said = (
        f"{vendor} says that the key {done}, but after {seen.seconds:.0f} s it was not seen gone ({seen.last}). "
        f"Do not rely on it; look again with: responder keys revoke {key.id}"
    )
    return Ended(key, outcome, said, gone=False)


def _refused(
    at: Desk, key: "KnownKey", account: "Account", answer: "Revocation", listed: "Sequence[KnownKey]"
) -> str:
    from responder.cli.keys.deletion import was_denied
    from responder.core.errors import Refused

    vendor = account.provider.provider
    if was_denied(answer):
        code = answer.detail.removeprefix(f"status {answer.status}").strip()
        refused = Refused(vendor, "delete", answer.status, code)
        return f"Not deleted. {at.whom_to_ask(key, account, refused)}"
    if key.owner.kind == "service_account":
        siblings = siblings_of(key, listed)
        name = words.line(key.owner.name or key.owner.id)
        lines = [f"Not deleted: {vendor} refuses to delete the key of a service account ({answer.detail})."]
        lines += [f"Deleting the service account {name} itself would do, and kill with it {_counted(siblings)}"]
        return "\n".join([*lines, *_named(siblings)])
    owner = words.person(key.owner)
    return f"Not deleted: {vendor} refuses ({answer.detail}). {owner} may be able to, on the provider's own page."
