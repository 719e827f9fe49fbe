"""The page of the clients says what is run."""

from tests.peers.clients import CLIENTS
from tests.peers.clients_page import PAGE, page


def test_the_page_is_the_one_that_the_clients_make():
    assert PAGE.read_text("utf-8") == page(), "run `make docs`"


def test_the_clients_of_the_test_environment_are_named_first():
    assert [client.in_test_environment for client in CLIENTS] == sorted(
        (client.in_test_environment for client in CLIENTS), reverse=True
    )
