"""S3 servers that the findings start: each as a context manager that gives a boto3 client for its bucket eodata."""

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
from botocore.config import Config

RCLONE_KEYS = ("an-access-key", "a-secret-key")
S3RVER_KEYS = ("S3RVER", "S3RVER")  # the ones it knows


@contextlib.contextmanager
def rclone_serve_s3():
    """Serve the directory `served` with rclone; its subdirectory eodata is the bucket."""
    Path("served/eodata").mkdir(parents=True)
    command = [f"{sys.prefix}/bin/rclone", "serve", "s3", "--auth-key", ",".join(RCLONE_KEYS), "served", "--addr"]
    with _serving(lambda port: [*command, f"127.0.0.1:{port}"], RCLONE_KEYS) as client:
        yield client


@contextlib.contextmanager
def s3rver():
    """Serve an empty bucket with the s3rver that npm installed below `npm`."""
    Path("served").mkdir()
    command = ["npm/node_modules/.bin/s3rver", "--directory", "served", "--address", "127.0.0.1"]
    command += ["--silent", "--configure-bucket", "eodata", "--port"]
    with _serving(lambda port: [*command, str(port)], S3RVER_KEYS) as client:
        yield client


@contextlib.contextmanager
def _serving(command, keys):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        yield boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1],
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )
    finally:
        server.terminate()
        server.wait()
