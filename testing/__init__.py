"""The conformance suite for backends, and what it needs: harnesses, fixtures and short commands.

Words used in the suite:

- A *harness* starts a backend's server and gives the config of a route to it (`harness.py`).
- A *desk* sends commands to the store of one tenant and env, with methods shorter than the commands
(`desk.py`, `table_desk.py`, `metrics_desk.py`, `stream_desk.py`; base class `Caller`).
- A *turn* is the place of an accepted command in the order; a repeated turn is a retry (`turn.py`).
- A *shelf* tries one hostile name in each *slot* of a store's commands, such as its table and its
row key, and looks for what another tenant stored (`shelf.py`, `hostile.py`).
- A *bad place* is a valid config that names a bucket or folder which cannot be used.
"""
