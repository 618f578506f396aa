"""``responder keys rotate-pepper``: a new secret under every fingerprint."""

import sys
from pathlib import Path

import click

from responder.cli import Mistake, config_option
from responder.cli.keys import words
from responder.cli.keys.desk import NO_PEPPER, Desk, desk, yes_option
from responder.cli.keys.revoking import check_can_ask


@click.command("rotate-pepper", short_help="Renew the secret under all fingerprints.")
@config_option
@click.option("--forget-former", is_flag=True, help="Forget every former pepper, and what only it can recognise.")
@yes_option
def rotate_pepper(config: Path | None, forget_former: bool, yes: bool) -> None:
    """Make a new pepper, for when somebody may have read the old one together with the database.

    A fingerprint is a keyed hash of a token; the pepper is the key. Fingerprints made with a former pepper stay good:
    a token is compared under every pepper that is kept, and a key that is proved again gets a fingerprint under the
    new one. Rotating alone loses nothing.

    With --forget-former no new pepper is made, and the former ones are thrown away. A key whose fingerprint was not
    renewed by then counts as never proved, until its token is registered or proved again.
    """
    from responder.seal import Keys

    with desk(config) as at:
        files = Keys(at.config.data_dir)
        try:
            former = len(files.peppers) - 1
        except (OSError, ValueError):
            raise Mistake(NO_PEPPER) from None
        if not forget_former:
            files.rotate()
            _record(at, "pepper_rotated")
            known = sum(at.coverage(one)["fingerprinted"] for one in at.accounts)
            at.say(_ROTATED.format(kept=words.number(former + 1, "former one"), known=f"{known:,}"))
            return
        if former < 1:
            click.echo("There is no former pepper.")
            return
        lost, known = _lost(at)
        at.say(_FORGETTING.format(lost=f"{lost:,}", known=f"{known:,}"))
        check_can_ask(yes=yes)
        if not yes and click.prompt("Type y to forget", default="", show_default=False).strip() not in (
            "y",
            "Y",
            "yes",
        ):
            click.echo("Nothing was forgotten.")
            sys.exit(1)
        files.forget_former()
        _record(at, "former_peppers_forgotten")
    click.echo("Forgotten. Copy the file pepper to every other machine with a worker, and register what was lost.")


def _record(at: Desk, event: str) -> None:
    from responder.assembly import now
    from responder.cli.keys.deletion import journalled_as
    from responder.store import audit

    with at.store.begin("rotate") as tx:
        audit.record(tx, now(), event, "pepper", {"by": journalled_as()})


def _lost(at: Desk) -> tuple[int, int]:
    """How many keys are fingerprinted with a former pepper only, and how many at all."""
    from responder.store import keys

    marks = at.pepper_marks()
    lost = known = 0
    with at.store.read() as tx:
        for one in at.accounts:
            who = (one.provider.provider, one.provider.account)
            all_of_them, renewed = (keys.coverage(tx, *who, some)[1] for some in (marks, marks[:1]))
            lost, known = lost + all_of_them - renewed, known + all_of_them
    return lost, known


_ROTATED = """\
A new pepper is in use. {kept} kept, so that none of the {known} fingerprinted keys is lost.
1. Copy the file pepper from the data directory to every other machine with a worker; none needs a restart.
2. Register the tokens you hold again (responder keys register): their fingerprints are renewed.
3. Then drop what is former: responder keys rotate-pepper --forget-former"""

_FORGETTING = """\
{lost} of {known} fingerprinted keys were not renewed since the pepper was rotated; their fingerprints will be lost.
Such a key counts as never proved: a leak of it has to be proved by asking its provider, which takes longer and
can fail. To renew them first: responder keys register."""
