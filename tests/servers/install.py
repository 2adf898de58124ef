"""Install the servers of `package.json` beside it, once; with the standard library alone.

Without node it says what is not tested then, and the tests of it say so again.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SERVERS = "azure_blob, s3rver and oidc-provider"
STAMP = FOLDER / "node_modules" / "signalbox-stamp"


def main() -> None:
    if shutil.which("npm") is None:
        print(f"no npm here: {SERVERS} are not tested (install node 20 or newer for it)")
        return
    wanted = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return
    print("installing the servers of tests/servers (once)", flush=True)
    # No install scripts: none of these servers needs one to run.
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
    if subprocess.run(command, cwd=FOLDER, stdin=subprocess.DEVNULL, check=False).returncode:
        message = "npm ci failed (see above): is the package registry reachable?"
        if os.environ.get("CI"):
            sys.exit(message)
        print(f"{message} {SERVERS} are not tested", file=sys.stderr)
        return
    STAMP.write_text(wanted)


if __name__ == "__main__":
    main()
