"""The pool that the environment names, opened with picas: PICAS_URL, PICAS_DB, PICAS_USER, PICAS_PASSWORD."""
import os

from picas.clients import CouchDB


def open_pool():
    return CouchDB(
        url=os.environ["PICAS_URL"],
        db=os.environ["PICAS_DB"],
        username=os.environ["PICAS_USER"],
        password=os.environ["PICAS_PASSWORD"],
    )
