"""How the API server learns where the stand-in for etcd keeps its objects: it asks at the address that --etcd-servers gives.

So two suites side by side have no data in common: each has its own address and its own data directory, as with etcd.
"""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

PATH = "/pybernetes/store"
FILE = "pybernetes.db"  # in the data directory
ASK_SECONDS = 5.0
ANSWER_BYTES = 16384


def store(url: str) -> str | None:
    """The store of the stand-in that listens there, as --store takes it; None where an etcd does. OSError where nobody listens."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        return None
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=ASK_SECONDS)
    try:
        connection.request("GET", PATH)
        answer = connection.getresponse()
        if answer.status != 200:
            return None
        text = json.loads(answer.read(ANSWER_BYTES))
    except (http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return str(text["store"]) if isinstance(text, dict) and "store" in text else None
