import hashlib
import http.client
import io
import zipfile
from contextlib import closing
from urllib.parse import urlencode, urlsplit

import pytest

from cdsed.sandbox import identity, zipper
from cdsed.sandbox.accounts import SandboxAccount
from cdsed.sandbox.names import realistic_safenames
from cdsed.sandbox.products import ProductSpec
from cdsed.sandbox.server import Sandbox


class Client:
    def __init__(self, sandbox):
        self.sandbox = sandbox
        status, _, body = self.ask(
            "/auth/realms/CDSE/protocol/openid-connect/token",
            body=urlencode(
                {"client_id": "cdse-public", "grant_type": "password", "username": "a@example.org", "password": "p"}
            ),
        )
        assert status == 200, identity.PATH
        self.token = body.decode().split('"access_token": "')[1].split('"')[0]

    def open(self):
        return closing(http.client.HTTPConnection("127.0.0.1", self.sandbox.port, timeout=10))

    def ask(self, path, token="", body=None):
        with self.open() as connection:
            return self.ask_on(connection, path, token, body)

    def ask_on(self, connection, path, token="", body=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request("POST" if body else "GET", path, body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


@pytest.fixture
def client():
    with Sandbox([SandboxAccount("a", "KEY", "secret", password="p", sessions=2)]) as sandbox:
        yield Client(sandbox)


def add(client, kind="S1_GRD"):
    return client.sandbox.bucket.add(ProductSpec(realistic_safenames(kind, 1)[0], 300_000))


def download(product):
    return f"{zipper.DOWNLOAD_PATH}/Products({product.product_id})/$value"


def test_the_catalogue_redirects_to_another_host(client):
    product = add(client)
    status, headers, _ = client.ask(f"/odata/v1/Products({product.product_id})/$value")
    assert status == 301
    place = urlsplit(headers["Location"])
    assert place.hostname != "127.0.0.1"
    assert place.path == download(product)


def test_a_product_comes_as_a_zip_of_stored_files(client):
    product = add(client)
    status, headers, body = client.ask(download(product), client.token)
    assert status == 200
    assert f"{product.spec.safename}.zip" in headers["Content-Disposition"]
    assert int(headers["Content-Length"]) == len(body)
    assert hashlib.md5(body).hexdigest() == zipper.zipped(product).digest("md5")
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        assert {item.compress_type for item in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {item.filename for item in archive.infolist()} == {
            f"{product.spec.safename}/{path}" for path in product.bodies
        }


def test_a_single_object_comes_as_it_is(client):
    product = add(client, "S5P")
    _, _, body = client.ask(download(product), client.token)
    assert hashlib.md5(body).hexdigest() == product.truth()[product.spec.safename].md5


@pytest.mark.parametrize(
    ("path", "with_token", "status", "code"),
    [
        ("Products(00000000-0000-0000-0000-000000000000)/$value", False, 401, b"DAT-ZIP-604"),
        ("Products(00000000-0000-0000-0000-000000000000)/$value", True, 404, b"DAT-ZIP-118"),
        ("Products(one)/$value", True, 422, b"DAT-ZIP-111"),
        ("Product/$value", True, 400, b"DAT-ZIP-104"),
    ],
)
def test_refusals_have_their_codes(client, path, with_token, status, code):
    answered, _, body = client.ask(f"{zipper.DOWNLOAD_PATH}/{path}", client.token if with_token else "")
    assert answered == status
    assert code in body


def test_a_token_that_ended_or_is_of_another_kind_has_its_code(client):
    product = add(client)
    assert b"DAT-ZIP-609" in client.ask(download(product), "made-up")[2]
    client.sandbox.rules.token_s = 0
    client.token = Client(client.sandbox).token
    assert b"DAT-ZIP-109" in client.ask(download(product), client.token)[2]


def test_one_download_too_many_is_refused(client):
    product = add(client)
    with client.open() as first, client.open() as second, client.open() as third:
        for connection in (first, second):
            assert client.ask_on(connection, download(product), client.token)[0] == 200
        status, _, body = client.ask_on(third, download(product), client.token)
    assert status == 429
    assert b'"Max session number 2 exceeded."' in body


def test_a_file_of_a_product_is_a_chain_of_nodes(client):
    product = add(client)
    path, body = next(item for item in product.bodies.items() if "/" in item[0])
    base = f"{zipper.DOWNLOAD_PATH}/Products({product.product_id})/Nodes({product.spec.safename})"
    nodes = "".join(f"/Nodes({part})" for part in path.split("/"))
    status, headers, data = client.ask(f"{base}{nodes}/$value", client.token)
    assert (status, data) == (200, b"".join(body.pieces(0, body.size_bytes)))
    assert headers["Content-Disposition"].endswith(f'"{path.rpartition("/")[2]}"')
    assert client.ask(f"{base}/Nodes(unknown)/$value", client.token)[0] == 404
    assert client.ask(f"{base}{nodes}/$value")[0] == 401


def test_the_token_may_be_in_the_query_and_stays_there_after_the_redirect(client):
    product = add(client)
    status, headers, _ = client.ask(f"/odata/v1/Products({product.product_id})/$value?token={client.token}")
    assert status == 301
    place = urlsplit(headers["Location"])
    assert client.ask(f"{place.path}?{place.query}")[0] == 200
    assert client.ask(f"{place.path}?token=wrong")[0] == 401


def test_head_says_how_long_a_download_is_and_sends_nothing(client):
    product = add(client)
    with client.open() as connection:
        for _ in range(2):  # a body would spoil the second response
            connection.request("HEAD", download(product), headers={"Authorization": f"Bearer {client.token}"})
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b"")
            assert int(response.headers["Content-Length"]) > 300_000
