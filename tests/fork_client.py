"""Runs as a program, with the standard library alone: what a program that is forked prints and how
it ends. Its arguments are a fork server's socket, the module, and the module's own arguments."""

import json
import os
import socket
import sys

if __name__ == "__main__":
    path, module, *arguments = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [b" "], [0, 1, 2])
        call = [module, arguments, dict(os.environ), os.getcwd(), False]
        connection.sendall(json.dumps(call).encode() + b"\n")
        with connection.makefile("r") as said:
            said.readline()
            code = int(said.readline())
    sys.exit(code if code >= 0 else 128 - code)
