"""The conformance suite for backends, its harnesses and fixtures, and a client for services.

`eager.py` has the fixture for tests of services. All other modules belong to the suite.

Words used in the suite:

- A *harness* starts a backend's server and gives the config of a route to it (`harness.py`).
- A *caller* sends commands to the store of one tenant and env, with methods shorter than the
commands (`object_caller.py`, `table_caller.py`, `metrics_caller.py`, `stream_caller.py`; base class
`StoreCaller`).
- An *acceptance* is the place of an accepted command in the order; a retry of the command
keeps it (`store_caller.py`).
- A *probe* tries one hostile name in each *slot* of a store's commands, such as its table and its
row key, and looks for what another tenant stored (`name_probe.py`, `hostile.py`).
- An *unusable config* is a valid config that names a bucket or folder which cannot be used.
"""
