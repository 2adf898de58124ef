"""Attacks drawn at random, at each entrance: what someone may send, or write into the state Redis.

The attacker knows the source, has a key of his own that is granted for another tenant, keys that
were revoked, have expired or do not count yet, and copies of all that honest producers and
operators have sent and that the state Redis has held.
"""
