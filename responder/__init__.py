"""The secret-leak responder.

    Delivery ── sources ──▶ Sighting ── match ──▶ Match ── decide ──▶ Decision
    Incident ◀── store ──── Notice ◀── notify ──── Revocation ◀── providers ─┘

`respond` tells this story from top to bottom. `core` is what we know, pure;
`sources` are those who tell us of a leak, `providers` those who can revoke;
`scan` finds tokens in text; `inventory` knows our keys; `engine` makes it
durable; `inbox` is where deliveries wait; `notify` and `summary` speak to
people; `store` remembers. `web` listens, `app` puts it all together, `cli` is
where a person starts.
"""
