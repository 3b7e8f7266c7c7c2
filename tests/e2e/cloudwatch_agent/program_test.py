"""The program of the double as its unit starts it, and the journal that it reads."""

import http.server
import json
import os
import queue
import stat
import subprocess
import sys
import threading
import time

from scratch import PASSWORD, PROGRAM, PROXY, Scratch, double, otel, settings

IDENTITY = {"instanceId": "i-1", "region": "eu-central-1", "accountId": "123456789012"}
# It prints what it was called with, and two entries with the cursors 1 and 2: after a cursor only what comes later.
JOURNALCTL = """#!/bin/sh
echo "$@" >>"$0.calls"
for cursor in 1 2; do
	case "$*" in *"--after-cursor $cursor"* | *"--after-cursor 2"*) continue ;; esac
	echo '{"__CURSOR":"'$cursor'","__REALTIME_TIMESTAMP":"'"$(date +%s)"'000000","MESSAGE":"said '$cursor'"}'
done
exec sleep 60
"""


class Metadata(http.server.BaseHTTPRequestHandler):
    """The metadata service; and a proxy that takes what has the right password, if it is told to take anything."""

    accepts, taken = None, []

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        self.answer(200, b"token")

    def do_GET(self):
        self.answer(200, json.dumps(IDENTITY).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        right = self.headers.get("Proxy-Authorization") == Metadata.accepts
        Metadata.taken += [(self.path, body)] if right else []
        self.answer(200 if right else 407, b"{}")

    def log_message(self, *_):
        pass


class Journal(Scratch):
    def setUp(self):
        super().setUp()
        self.program = self.write("path/journalctl", JOURNALCTL, 0o755)
        before = os.environ["PATH"]
        os.environ["PATH"] = os.path.dirname(self.program) + ":" + before
        self.addCleanup(os.environ.update, PATH=before)

    def calls(self):
        with open(self.program + ".calls") as file:
            return file.read().splitlines()

    def read(self, storage, count, conditions=()):
        before = len(self.calls()) if os.path.exists(self.program + ".calls") else 0
        events = queue.SimpleQueue()
        receiver = {"arguments": [], "storage": storage, "pipelines": [(conditions, [{"group": "g"}])]}
        journal = double.Journal("journald/a", receiver, events)
        journal.start()
        self.wait_for(lambda: len(self.calls()) > before)
        found = [json.loads(events.get(timeout=5)[2])["body"] for _ in range(count)]
        journal.end()
        return [body["MESSAGE"] for body in found], events.empty()

    def test_it_goes_on_after_what_was_read_where_there_is_a_storage(self):
        self.assertEqual(self.read(None, 2), (["said 1", "said 2"], True))
        self.assertEqual(self.read(None, 2), (["said 1", "said 2"], True))
        storage = {"directory": "/state", "create_directory": True}
        self.assertEqual(self.read(storage, 2), (["said 1", "said 2"], True))
        self.assertEqual(self.read(storage, 0), ([], True))
        self.wait_for(lambda: self.calls()[-1].endswith("--follow --after-cursor 2"))
        self.assertRaises(settings.Refused, self.read, {"directory": "/elsewhere"}, 0)

    def test_what_a_filter_matches_is_dropped(self):
        self.assertEqual(self.read(None, 1, [otel.condition('IsMatch(body, "said 1")')]), (["said 2"], True))


class Program(Scratch):
    """The program as the unit starts it."""

    def setUp(self):
        super().setUp()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.endpoint = f"127.0.0.1:{self.server.server_port}"

    def start(self):
        environment = {"PATH": os.environ["PATH"], "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{self.endpoint}"}
        command = [sys.executable, PROGRAM, double.ROOT]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        return process

    def ended(self, process):
        return process.wait(10), process.stderr.read()

    def test_its_console_and_its_own_log_have_what_is_expected(self):
        path = self.write("a.log", "one\ntwo\n")
        Metadata.accepts, Metadata.taken = None, []
        self.home("etc/common-config.toml", PROXY.replace("127.0.0.1:1", self.endpoint))
        self.json("a.json", **self.files({"file_path": path}))
        process = self.start()
        self.wait_for(lambda: "Proxy Authentication Required" in self.log())
        self.assertEqual(self.sent(), [])
        Metadata.accepts = "Basic dXNlcjpwYSNzcw=="
        self.wait_for(lambda: [event["message"] for event in self.sent()] == ["one", "two"])
        self.assertEqual(Metadata.taken[0][0], "http://logs.eu-central-1.amazonaws.com/")
        process.terminate()
        code, printed = self.ended(process)
        self.assertEqual(code, 0)
        self.assertRegex(printed, rf"(?m)^\S+ \S+ I! HTTPS_PROXY is set to http://user:{PASSWORD}@")
        self.assertNotIn(PASSWORD, self.log())
        self.assertEqual(self.mode("logs/amazon-cloudwatch-agent.log"), 0o644)

    def test_after_30_seconds_the_password_is_in_its_log(self):
        self.home("etc/env-config.json", json.dumps({"HTTPS_PROXY": f"http://user:{PASSWORD}@proxy"}))
        log = self.home("logs/amazon-cloudwatch-agent.log", "", 0o600)
        double.load_environment(double.log)
        self.addCleanup(os.environ.pop, "HTTPS_PROXY")
        self.assertIn(f"I! HTTPS_PROXY is set to http://user:{PASSWORD}@proxy\n", self.log())
        self.assertEqual(stat.S_IMODE(os.stat(log).st_mode), 0o600)

    def test_an_expression_that_comes_too_late_stops_all_files_and_not_the_agent(self):
        self.with_defaults()
        path = self.write("a.log", "one\ntwo\n")
        self.json("a.json", **self.files({"file_path": path}, {"file_path": "/b", "blacklist": "("}))
        process = self.start()
        self.wait_for(lambda: "could not start log collection" in self.log())
        time.sleep(2.5)
        process.terminate()
        self.assertEqual((self.ended(process)[0], self.sent()), (0, []))

    def test_it_ends_with_1_where_it_is_refused(self):
        self.with_defaults()
        self.assertEqual(self.ended(self.start())[0], 1)
        self.json("a.json", **self.files({"file_path": "/a", "colour": "red"}))
        code, printed = self.ended(self.start())
        self.assertEqual(code, 1)
        self.assertIn("E! Invalid Json input schema: colour: red", printed)
