"""``/metrics`` on the address that everybody can reach."""

from tests.hook import Sender, assert_problem


def test_without_a_bearer_configured_there_are_no_metrics(sender: Sender) -> None:
    """What nobody asked for is not there, whatever is presented."""
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer None"}):
        assert_problem(sender.group.client.get("/metrics", headers=headers), 404)
