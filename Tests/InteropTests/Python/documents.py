"""Single things that users of PiCaS do: documents.py COMMAND ARGUMENTS…; what is seen goes out as JSON."""
import base64
import json
import logging
import os
import sys

from couchdb import Server
from couchdb.http import ResourceConflict
from picas.couchdblogger import CouchDBLogger
from picas.documents import Document, Job, Task, User
from picas.iterators import TaskViewIterator

from pool import open_pool


def dump(db, *ids):
    """The documents as they are, with the contents of their attachments."""
    for id in ids:
        document = dict(db.get(id).value)
        contents = {}
        for name in document.get("_attachments", {}):
            attachment = db.db.get_attachment(id, name)
            contents[name] = base64.b64encode(attachment.read() if attachment else b"").decode()
        print(json.dumps({"document": document, "contents": contents}))


def push(db, lines):
    """Tokens from JSON lines in a file; prints which were saved."""
    with open(lines) as file:
        print(json.dumps(db.save_documents([Task(json.loads(line)) for line in file])))


def error(db, *ids):
    for id in ids:
        task = Task(db.get(id))
        try:
            raise ValueError("no such calibrator")
        except ValueError as exception:
            db.save(task.error("it broke", exception=exception))


def scrub(db, *ids):
    for id in ids:
        db.save(Task(db.get(id)).scrub())


def lock(db, environments):
    """Locks a token for each environment of batch systems, as the iterators do, and prints it."""
    for variables in json.loads(environments):
        os.environ.update(variables)
        task = next(TaskViewIterator(db, "todo"))
        print(json.dumps(task.value))
        for name in variables:
            del os.environ[name]


def reset_tokens(db, view, hours):
    """What PiCaS' example resetTokens does."""
    from time import time

    old = []
    for row in db.view(view):
        document = db.get(row["id"])
        if time() - document["lock"] > float(hours) * 3600:
            document["lock"] = 0
            document["done"] = 0
            document["scrub_count"] += 1
            document["hostname"] = ""
            document["exit_code"] = ""
            for name in list(document.value.get("_attachments", {})):
                document.remove_attachment(name)
            old.append(document)
    print(json.dumps(db.save_documents(old)))


def delete_from_view(db, view):
    print(json.dumps(db.delete_from_view(view)))


def nonempty(db, *views):
    print(json.dumps([db.is_view_nonempty(view, design_doc=design) for design, view in (v.split("/") for v in views)]))


def cores(db, design, count):
    """The views that create_views.py makes for pilots of some cores."""
    states = {
        "todo": "doc.lock == 0 && doc.done == 0",
        "locked": "doc.lock > 0 && doc.done == 0",
        "done": "doc.lock > 0 && doc.done > 0 && parseInt(doc.exit_code) == 0",
        "error": "doc.lock > 0 && doc.done > 0 && parseInt(doc.exit_code) != 0",
    }
    for name, state in states.items():
        condition = f"doc.type == 'token' && {state} && doc.cores == {count}"
        db.add_view(name, "function(doc) { if (%s) { emit(doc._id, doc._id); } }" % condition, design_doc=design)


def attach(db, id, name, text):
    task = Task(db.get(id))
    task.put_attachment(name, text)
    db.save(task)


def log(db, *messages):
    logger = logging.getLogger("picas test")
    logger.setLevel(logging.INFO)
    url = os.environ["PICAS_URL"].replace(
        "://", "://{PICAS_USER}:{PICAS_PASSWORD}@".format(**os.environ), 1)
    logger.addHandler(CouchDBLogger(url, os.environ["PICAS_DB"]))
    logger.propagate = False
    for message in messages:
        logger.warning(message)


def job(db, id):
    made = Job({"_id": id}).queue("slurm", "sp1")
    db.save(made)
    made = Job(db.get(id)).start()
    db.save(made)
    db.save(Job(db.get(id)).finish())
    print(json.dumps({"is_done": Job(db.get(id)).is_done()}))


def archive(db, id):
    archived = Job(db.get(id)).archive()
    db.save(archived)
    print(json.dumps(archived.value))


def user(db, name, password):
    """A user as PiCaS makes it, let in by set_users."""
    server = Server(os.environ["PICAS_URL"])
    server.resource.credentials = (os.environ["PICAS_USER"], os.environ["PICAS_PASSWORD"])
    if "_users" not in server:
        server.create("_users")
    server["_users"].save(User(name, password, roles=["pilot"]).value)
    db.set_users(members=[name], member_roles=["pilots"])


def conflicts(db, id):
    """Two writers of one revision, and a bulk write with one conflict in it."""
    first, second = db.get(id), db.get(id)
    first["winner"] = 1
    db.save(first)
    second["winner"] = 2
    seen = {}
    try:
        db.save(second)
        seen["save"] = "saved"
    except ResourceConflict:
        seen["save"] = "conflict"
    fresh = Document({"_id": id + " fresh", "type": "x"})
    seen["bulk"] = db.save_documents([second, fresh])
    seen["delete"] = db.delete_documents([fresh])
    print(json.dumps(seen))


globals()[sys.argv[1]](open_pool(), *sys.argv[2:])
