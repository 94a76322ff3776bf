"""What picas sees of tokens: read.py ID…, a line of JSON each with its fields and the texts of its logs."""
import json
import sys

from picas.documents import Task

from pool import open_pool

db = open_pool()
for token in sys.argv[1:]:
    task = Task(db.get(token))
    logs = {}
    for end in ("out", "err"):
        name = f"logs_{token}.{end}"
        if "_attachments" in task and name in task["_attachments"]:
            # couchdb-python answers None for an attachment without content.
            content = db.db.get_attachment(token, name)
            logs[end] = content.read().decode() if content else ""
    print(
        json.dumps(
            {
                "id": task.id,
                "is_done": bool(task.is_done()),
                "has_error": bool(task.has_error()),
                "exit_code": task["exit_code"],
                "hostname": task["hostname"],
                "lock": task["lock"],
                "done": task["done"],
                "scrub_count": task["scrub_count"],
                "logs": logs,
            }
        )
    )
