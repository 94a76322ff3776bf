"""A PiCaS worker: takes tokens from a view, runs their input as a line for the shell, and hands in exit code and logs.

Usage: work.py JOURNAL [VIEW]. Each run is told in the journal before it starts, a line "picas ID" each.
"""
import subprocess
import sys

from picas.actors import RunActor
from picas.iterators import TaskViewIterator

from pool import open_pool


class ShellActor(RunActor):
    def __init__(self, db, view, journal):
        super().__init__(db, iterator=TaskViewIterator(db, view))
        self.journal = journal

    def process_task(self, task):
        token = task["_id"]
        with open(self.journal, "a") as journal:
            journal.write(f"picas {token}\n")
        result = subprocess.run(task["input"], shell=True, capture_output=True)
        task["exit_code"] = result.returncode
        task.put_attachment(f"logs_{token}.out", result.stdout)
        task.put_attachment(f"logs_{token}.err", result.stderr)
        task.done()


def main():
    journal = sys.argv[1]
    view = sys.argv[2] if len(sys.argv) > 2 else "todo"
    # Several of these at once lose claims to each other, and PiCaS gives up after ten in a row: begin again.
    while True:
        actor = ShellActor(open_pool(), view, journal)
        try:
            actor.run()
            return
        except EnvironmentError as error:
            print(f"again: {error}", file=sys.stderr)


main()
