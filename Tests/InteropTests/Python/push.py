"""Pushes tokens as PiCaS' users do: push.py PREFIX, a command line for each token on standard input."""
import sys

from picas.documents import Task

from pool import open_pool

tasks = [
    Task({"_id": f"{sys.argv[1]}_{number}", "type": "token", "input": line.rstrip("\n")})
    for number, line in enumerate(sys.stdin)
]
if not all(open_pool().save_documents(tasks)):
    sys.exit("some tokens were not saved")
print(len(tasks))
