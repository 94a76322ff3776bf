"""Runs a public client's own test suite, as it was published, against the server in COUCH_URL.

    suite.py couchdb | FOLDER-OF-A-SUITE

Prints a line "ran N" and a line "failed NAME" for each test that did not pass. Suites that know one address only,
localhost:5984, reach the server all the same: the name is resolved to it. What they hand on to the server as its own
address, SERVER_URL, is that of the server.
"""
import asyncio
import os
import socket
import sys
import unittest
from urllib.parse import urlsplit

server = urlsplit(os.environ["COUCH_URL"])
resolve = socket.getaddrinfo


def to_the_server(host, port, *arguments, **options):
    if host in ("localhost", b"localhost") and str(port) == "5984":
        host, port = server.hostname, server.port
    return resolve(host, port, *arguments, **options)


def couchdb_suite():
    """The tests that couchdb 1.2 installs with itself, but for those of its loader, whose files it leaves behind."""
    names = ["client", "couchhttp", "design", "mapping", "multipart", "package", "view", "tools"]
    result = unittest.TextTestRunner(stream=sys.stderr).run(
        unittest.TestSuite(unittest.defaultTestLoader.loadTestsFromName("couchdb.tests." + name) for name in names))
    return result.testsRun, [test.id() for test, _ in result.errors + result.failures]


class Counter:
    def __init__(self):
        self.count = 0
        self.failed = []

    def pytest_collection_modifyitems(self, items):
        for item in items:
            if hasattr(item.module, "SERVER_URL"):
                item.module.SERVER_URL = os.environ["COUCH_URL"] + "/"

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and not report.skipped:
            self.count += 1
        if report.failed:
            self.failed.append(report.nodeid)


def pytest_suite(folder):
    import pytest

    os.chdir(folder)
    counter = Counter()
    status = pytest.main(["-q", "-p", "no:cacheprovider"], plugins=[counter])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        sys.exit(f"pytest ended with {status}")
    return counter.count, counter.failed


# The fixtures of aiocouch give a cluster a quarter of a second to settle after each of 145 tests; a single store has
# settled when it answers.
sleep = asyncio.sleep
asyncio.sleep = lambda delay, *result: sleep(0 if delay == 0.25 else delay, *result)
socket.getaddrinfo = to_the_server
if sys.argv[1] == "couchdb":
    os.environ["COUCHDB_URL"] = os.environ["COUCH_URL"] + "/"
os.environ["COUCHDB_HOST"] = f"{server.scheme}://{server.hostname}:{server.port}"
os.environ["COUCHDB_USER"] = server.username
os.environ["COUCHDB_PASS"] = server.password
# pytest writes to the same output: what is counted goes to a file that is printed last.
answers = os.dup(1)
os.dup2(2, 1)
count, failed = couchdb_suite() if sys.argv[1] == "couchdb" else pytest_suite(sys.argv[1])
with os.fdopen(answers, "w") as output:
    output.write(f"ran {count}\n" + "".join(f"failed {name}\n" for name in sorted(set(failed))))
