"""An actor of PiCaS with its settings: act.py JOURNAL SETTINGS, where SETTINGS is JSON:

view, design_doc: where tokens come from · low: a second view, of lower priority · endless: seconds between looks
stop_after: how many tokens end an endless iterator · reset: token_reset_values · run: arguments of run()

Each token's input is a line for the shell. Its id goes to the journal before it starts.
"""
import json
import subprocess
import sys

from picas.actors import RunActor
from picas.iterators import EndlessViewIterator, PrioritizedViewIterator, TaskViewIterator

from pool import open_pool


class ShellActor(RunActor):
    def __init__(self, db, iterator, journal, reset):
        super().__init__(db, iterator=iterator, token_reset_values=reset)
        self.journal = journal

    def process_task(self, task):
        with open(self.journal, "a") as journal:
            journal.write(f"{task.id}\n")
        self.subprocess = subprocess.Popen(
            ["/bin/sh", "-c", task["input"]], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = self.subprocess.communicate()
        task["exit_code"] = self.subprocess.returncode
        task.put_attachment(f"logs_{task.id}.out", out)
        task.put_attachment(f"logs_{task.id}.err", err)
        # What GRID_LRT's scripts keep up, in tokens that have it.
        if "status" in task:
            task["status"] = "done" if task["exit_code"] == 0 else "error"
            task["output"] = task["exit_code"]
            task["times"][task["status"]] = 1.5
        task.done()


settings = json.loads(sys.argv[2])
db = open_pool()
places = {"design_doc": settings.get("design_doc", "Monitor")}
if "low" in settings:
    iterator = PrioritizedViewIterator(db, settings["view"], settings["low"], **places)
else:
    iterator = TaskViewIterator(db, settings.get("view", "todo"), **places)
if "endless" in settings:
    iterator = EndlessViewIterator(
        iterator, sleep_sec=settings["endless"], stop_callback=lambda: actor.tasks_processed >= settings["stop_after"])
actor = ShellActor(db, iterator, sys.argv[1], settings.get("reset", [0, 0]))
actor.run(**settings.get("run", {}))
