"""rclone: copy a product with the given provider, then compare source and copy."""

import os
import subprocess
import sys
from pathlib import Path

from hosts import CASE

provider = sys.argv[1]
settings = {
    "TYPE": "s3",
    "PROVIDER": provider,
    "ENDPOINT": CASE["url"],
    "REGION": "default",
    "ACCESS_KEY_ID": CASE["access_key"],
    "SECRET_ACCESS_KEY": CASE["secret_key"],
}
environ = {**os.environ, **{f"RCLONE_CONFIG_CDSE_{name}": value for name, value in settings.items()}}
rclone = [str(Path(sys.executable).with_name("rclone")), "--config", "/dev/null"]
rclone += ["--retries", "1", "--transfers", "2", "--checkers", "2"]
source, target = f"cdse:{CASE['s3_path'].lstrip('/')}", f"{CASE['out']}/{CASE['safename']}"
folder = f"{source.rpartition('/')[0]}/"
for command in (["copy", source, target], ["check", source, target], ["lsf", folder], ["lsd", "cdse:"]):
    done = subprocess.run([*rclone, *command], env=environ, check=True, stdout=subprocess.PIPE, text=True)
    assert command[0] != "lsf" or f"{CASE['safename']}/" in done.stdout.splitlines(), done.stdout
    assert command[0] != "lsd" or done.stdout.rstrip().endswith(" eodata"), done.stdout
