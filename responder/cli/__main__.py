"""``python -m responder.cli``: how the group starts its halves."""

from responder.cli import main

main(prog_name="responder")
