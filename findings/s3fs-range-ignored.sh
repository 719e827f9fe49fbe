#!/usr/bin/env bash
# s3fs takes the beginning of an object for its middle when a server ignores Range.
#
# s3fs 2026.9.0. RFC 9110, 14.2: a server may ignore Range and answer 200 with the whole. s3fs compares neither the status
# nor Content-Range nor the length: cat_file(start=10, end=20) returns the whole object, and a file that is read from
# byte 1000 returns bytes 0 and following, without an error.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check s3fs==2026.9.0
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import s3fs

CONTENT = bytes(range(256)) * 8


class WithoutRanges(BaseHTTPRequestHandler):
    """Answers every GET with the whole object."""

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.send_header("ETag", f'"{hashlib.md5(CONTENT).hexdigest()}"')
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        self.wfile.write(CONTENT)

    def log_message(self, *_arguments):
        pass


with ThreadingHTTPServer(("127.0.0.1", 0), WithoutRanges) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    store = s3fs.S3FileSystem(key="key", secret="secret", endpoint_url=f"http://127.0.0.1:{server.server_address[1]}")
    part = store.cat_file("eodata/object.bin", start=10, end=20)
    with store.open("eodata/object.bin", "rb", block_size=64) as file:
        file.seek(1000)
        read = file.read(10)
    server.shutdown()
print("cat_file of bytes 10 to 19:", len(part), "bytes")
print("seek(1000), read(10):", list(read), " right:", list(CONTENT[1000:1010]))
assert part == CONTENT
assert read == CONTENT[:10]
EOF
