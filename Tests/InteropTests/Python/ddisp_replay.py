#!/usr/bin/env python3
"""Replay command-line scenarios of the real Data Dispatcher client (`ddisp`) against a compatible server.

    python3 -m venv V && V/bin/pip install datadispatcher==1.27.0
    python3 ddisp_replay.py --url http://127.0.0.1:5984/_pool/dd/data --auth http://127.0.0.1:5984/_pool/dd/auth --ddisp V/bin/ddisp

The server must hold the users, RSEs, replicas and proximity map of fixture.json before the run. A stand-in for MetaCat's query
service is started here on a free port. Each scenario runs with its own home and working directory, several at a time, because the client
itself sleeps up to 10 s before each `worker next`. Prints a line per failed step and, last, `N passed, N failed`.
"""
import argparse, concurrent.futures, http.server, json, os, pathlib, re, subprocess, sys, tempfile, threading, uuid


def metacat(folder):
    """Answers POST /data/query with a recorded stream of file records; returns the base URL."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            name = "metacat-query-answer-with-meta.json-seq" if "with_meta=yes" in self.path else "metacat-query-answer.json-seq"
            body = (folder / name).read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "application/json-seq")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def replay(scenario, version, ddisp, env, folder, root, ours):
    """Runs one scenario; returns the list of what went wrong (empty = passed)."""
    run = uuid.uuid4().hex[:8]
    words = {"RUN": "r" + run, "S": str(folder)}
    for number, step in enumerate(scenario["steps"], 1):
        if not ours and step.get("only") and version not in step["only"]:
            continue
        if ours and "ours" in step:
            step = {k: v for k, v in step.items() if k not in ("out", "not_out", "out_exact", "err")} | step["ours"]
        user = step["user"]
        home = root / f"{scenario['id']}-{run}" / user
        e = dict(env, HOME=str(home), PATH=f"{pathlib.Path(ddisp).absolute().parent}:{env['PATH']}", **words)
        if not home.exists():
            home.mkdir(parents=True)
            if user not in ("fresh", "anon"):
                login = subprocess.run(["bash", "-c", f"ddisp login -m password {user}"], cwd=home, env=e, text=True,
                                       input=f"pw-{user}\n", capture_output=True, start_new_session=True, timeout=120)
                if login.returncode:
                    return [f"{scenario['id']}: {user} can not log in: {login.stderr[-300:]}"]
        command = re.sub(r"\$(RUN|P|Q|S)\b", lambda m: words.get(m.group(1), m.group(0)), step["cmd"])
        p = subprocess.run(["bash", "-c", command], cwd=home, env=e, input=step.get("stdin", ""), text=True,
                           capture_output=True, start_new_session=True, timeout=400)
        out = p.stdout.rstrip("\n")

        def holds(want):
            return (p.returncode == want.get("exit", step["exit"])
                    and ("out_exact" not in want or out == want["out_exact"])
                    and all(re.search(r, p.stdout, re.M) for r in want.get("out", []))
                    and not any(re.search(r, p.stdout, re.M) for r in want.get("not_out", []))
                    and all(re.search(r, p.stderr, re.M) for r in want.get("err", [])))

        if not (holds(step) or (step.get("accept_also") and holds(step["accept_also"]))):
            want = {k: step[k] for k in ("exit", "out", "not_out", "out_exact", "err", "accept_also") if k in step}
            return [f"{scenario['id']} step {number} [{scenario['title']}] as {user}: {step['cmd'][:160]}",
                    f"    wanted {json.dumps(want)}", f"    exit {p.returncode}, stdout {out[:500]!r}", f"    stderr {p.stderr[-400:]!r}"]
        if "capture" in step:
            words[step["capture"]] = out.strip()
    return []


def main():
    here = pathlib.Path(__file__).resolve().parent
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--url", required=True)
    a.add_argument("--auth", required=True)
    a.add_argument("--ddisp", required=True, help="the client's executable")
    a.add_argument("--version", default="1.27.0", help="which client it is: 1.27.0 (PyPI) or 2.0.3")
    a.add_argument("--ours", action="store_true", help="it is our own command: all steps, and what it does better")
    a.add_argument("--dir", default=str(here.parent / "ddisp"), help="folder of scenarios.json")
    a.add_argument("--data", default=str(here.parent / "ddisp"), help="folder of the input files")
    a.add_argument("--only", default="", help="S01,S07")
    a.add_argument("--jobs", type=int, default=8)
    o = a.parse_args()
    data = pathlib.Path(o.data).resolve()
    scenarios = [s for s in json.loads((pathlib.Path(o.dir) / "scenarios.json").read_text())["scenarios"]
                 if (o.ours or o.version in s["clients"]) and (not o.only or s["id"] in o.only.split(","))]
    env = {k: v for k, v in os.environ.items() if k not in ("BEARER_TOKEN", "BEARER_TOKEN_FILE", "XDG_RUNTIME_DIR", "ID")}
    env.update(TZ="UTC", DATA_DISPATCHER_URL=o.url, DATA_DISPATCHER_AUTH_URL=o.auth, METACAT_SERVER_URL=metacat(data))
    with tempfile.TemporaryDirectory() as root, concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        results = list(pool.map(lambda s: replay(s, o.version, o.ddisp, env, data, pathlib.Path(root), o.ours), scenarios))
    for problem in results:
        if problem:
            print("\n".join(problem))
    failed = sum(1 for r in results if r)
    print(f"{len(results) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
