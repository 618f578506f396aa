"""``responder keys stale``: keys that nobody seems to need."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from responder.cli import config_option, json_option
from responder.cli.keys import words
from responder.cli.keys.desk import Desk, desk, may_delete, yes_option
from responder.cli.keys.revoking import Ended, check_can_ask, revoke_one
from responder.cli.keys.showing import alike_among, comparable, footer, is_unused, last_sign, print_keys

if TYPE_CHECKING:
    from responder.core.key import KnownKey
    from responder.proof import Account


@click.command(short_help="List keys not used for long, or delete them one by one.")
@config_option
@json_option
@click.option("--days", type=click.IntRange(1), required=True, help="Not used for so many days.")
@click.option("--revoke", "revoking", is_flag=True, help="Ask about one after the other, and delete it.")
@yes_option
def stale(config: Path | None, as_json: bool, days: int, revoking: bool, yes: bool) -> None:
    """List keys not used for so many days, longest first; one never used counts from its creation.

    With --revoke each is looked at anew before anybody is asked: one used since then is left alone, and so are
    protected keys. Exit 1 if a key that was to be deleted was not.
    """
    from responder.assembly import now

    with desk(config, as_json=as_json) as at:
        if revoking:
            may_delete(at.config)
            check_can_ask(yes=yes)
        found = [(key, one) for one in at.accounts for key in one.inventory.every()]
        old = [(key, one) for key, one in found if key.gone_at is None and is_unused(key, days, now())]
        old.sort(key=lambda pair: last_sign(pair[0]) or now())
        if revoking:
            ended = _revoke(at, old, days, yes=yes)
            if as_json:
                click.echo(json.dumps({"keys": [one.to_json() for one in ended]}, indent=2))
            sys.exit(1 if any(one.outcome in ("refused", "unknown") or one.gone is False for one in ended) else 0)
        shown = list(comparable(at, [key for key, _ in old]))
        if as_json:
            told = [words.to_json(key) for key in shown]
            click.echo(json.dumps({"keys": told, "lists": [at.coverage(one) for one in at.accounts]}, indent=2))
            return
        print_keys(shown, alike_among(at, shown))
        click.echo()
        for one in at.accounts:
            mine = [key for key, account in old if account is one]
            click.echo(footer(at.coverage(one), len(mine)))


def _revoke(at: Desk, old: "list[tuple[KnownKey, Account]]", days: int, *, yes: bool) -> list[Ended]:
    from responder.core.key import Tier

    ended = []
    for number, (key, account) in enumerate(old, 1):
        at.say(f"{number} of {len(old)}: {words.line(key.name) or '(no name)'}  {words.line(key.id)}")
        if key.tier is Tier.PROTECTED:
            one = Ended(key, "skipped", "Left alone: it is protected; to delete it: responder keys revoke " + key.id)
        else:
            one = revoke_one(at, key, account, yes=yes, wait=True, unused_days=days)
        at.say(one.said)
        ended.append(one)
        if one.quit:
            break
    count = sum(one.good for one in ended)
    at.say(f"\n{count} gone, {len(old) - count} left, of {len(old)} not used for {days} days.")
    return ended
