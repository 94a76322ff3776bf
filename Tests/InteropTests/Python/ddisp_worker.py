"""The worker loop of Data Dispatcher's documentation, with its own package: python ddisp_worker.py PROJECT WORKER [LIVES]

With LIVES it dies with its LIVES-th file in hand. A file whose number ends in 3 fails when it is first tried, one with a 7
behind an even digit for good."""
import os, signal, sys
from data_dispatcher.api import DataDispatcherClient

project, worker = int(sys.argv[1]), sys.argv[2]
lives = int(sys.argv[3]) if len(sys.argv) > 3 else 0
client = DataDispatcherClient(worker_id=worker)
count = 0
while True:
    # The client sleeps up to ten seconds before it asks, unless it is told not to.
    file = client.next_file(project, worker_id=worker, timeout=1, stagger=0)
    if file is True:
        continue
    if not file:
        break
    count += 1
    if count == lives:
        os.kill(os.getpid(), signal.SIGKILL)
    did = f"{file['namespace']}:{file['name']}"
    number = int(file["name"].split("_")[-1])
    if number % 20 == 7:
        client.file_failed(project, did, retry=False)
    elif number % 10 == 3 and file["attempts"] == 1:
        client.file_failed(project, did, retry=True)
    else:
        client.file_done(project, did)
