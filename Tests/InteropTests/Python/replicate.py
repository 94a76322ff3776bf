"""Replicates SOURCE to TARGET, two database URLs, from outside: CouchDB's protocol with nothing but HTTP requests.

    replicate.py SOURCE TARGET

Prints how many revisions were written.
"""
import hashlib
import json
import sys
from urllib.parse import quote

import requests

source, target = (url.rstrip("/") for url in sys.argv[1:3])
session = requests.Session()


def ask(method, url, **options):
    answer = session.request(method, url, **options)
    answer.raise_for_status()
    return answer


def parts(body, content_type):
    """The parts of a multipart answer, each as its own content type and its bytes as they came."""
    boundary = content_type.split("boundary=")[1].strip('"').encode()
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
    for piece in pieces[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        yield next(line.split(b":", 1)[1].strip().decode() for line in head.split(b"\r\n")
                   if line.lower().startswith(b"content-type:")), content


checkpoint = "/_local/" + hashlib.md5((source + " " + target).encode()).hexdigest()
known = [session.get(side + checkpoint) for side in (source, target)]
logs = [answer.json() if answer.status_code == 200 else {} for answer in known]
since = logs[0].get("source_last_seq", 0) if logs[0].get("session_id") == logs[1].get("session_id") else 0
changes = ask("GET", source + "/_changes", params={"style": "all_docs", "since": since}).json()
leaves = {row["id"]: [change["rev"] for change in row["changes"]] for row in changes["results"]}
missing = ask("POST", target + "/_revs_diff", json=leaves).json()
written = 0
plain = []
for name, wanted in missing.items():
    path = "/".join(quote(part, safe="") for part in name.split("/", 1)) if name.startswith("_design/") else quote(
        name, safe="")
    answer = ask("GET", f"{source}/{path}", headers={"Accept": "multipart/mixed"}, params={
        "revs": "true", "latest": "true", "open_revs": json.dumps(wanted["missing"]),
        "atts_since": json.dumps(wanted.get("possible_ancestors", []))})
    for content_type, content in parts(answer.content, answer.headers["Content-Type"]):
        if "error" in content_type:  # Replaced since the change was told: another change tells of that.
            continue
        written += 1
        if content_type.startswith("application/json"):
            plain.append(json.loads(content))
        else:
            ask("PUT", f"{target}/{path}", params={"new_edits": "false"}, data=content,
                headers={"Content-Type": content_type})
refused = ask("POST", target + "/_bulk_docs", json={"docs": plain, "new_edits": False}).json()
if refused:
    sys.exit(f"refused: {refused}")
ask("POST", target + "/_ensure_full_commit", json={})
for side, log in zip((source, target), logs):
    entry = {"session_id": changes["last_seq"], "source_last_seq": changes["last_seq"], "history": []}
    ask("PUT", side + checkpoint, json={**({"_rev": log["_rev"]} if log else {}), **entry})
print(written)
