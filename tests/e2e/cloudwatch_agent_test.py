"""Tests of the CloudWatch agent's double, which the virtual machines have: what the real agent was seen to do."""

import calendar
import http.server
import importlib.machinery
import json
import os
import queue
import re
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
PROGRAM = os.path.join(HERE, "guest/opt/aws/amazon-cloudwatch-agent/bin/start-amazon-cloudwatch-agent")
double = importlib.machinery.SourceFileLoader("double", PROGRAM).load_module()
settings, otel = double.settings, double.otel

# US/Eastern, for machines that have no time zones.
EASTERN = "EST5EDT,M3.2.0,M11.1.0"
FACTS = {"{instance_id}": "i-1", "{aws_region}": "eu-central-1"}
IDENTITY = {"instanceId": "i-1", "region": "eu-central-1", "accountId": "123456789012"}
PASSWORD = "pa%23ss"
PROXY = f'[proxy]\nhttps_proxy = "http://user:{PASSWORD}@127.0.0.1:1"\n'
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


class Scratch(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        double.ROOT = self.folder.name
        double.HOME = os.path.join(double.ROOT, "opt/aws/amazon-cloudwatch-agent")
        double.STATE = os.path.join(double.HOME, "logs/state")
        double.SENT = os.path.join(double.ROOT, "var/lib/e2e/sent-logs.jsonl")
        for folder in ("bin", "etc/amazon-cloudwatch-agent.d", "logs/state"):
            os.makedirs(os.path.join(double.HOME, folder))
        self.write("opt/aws/amazon-cloudwatch-agent/bin/CWAGENT_VERSION", "1.300071.0b1\n")
        self.in_zone(EASTERN)

    def in_zone(self, zone):
        before = os.environ.get("TZ")
        os.environ["TZ"] = zone
        time.tzset()

        def back():
            os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
            time.tzset()

        self.addCleanup(back)

    def write(self, path, text, mode=0o644):
        path = os.path.join(double.ROOT, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "a") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def with_defaults(self):
        """What the package brings."""
        self.home("etc/common-config.toml", "# [proxy]\n")

    def home(self, path, text, mode=0o644):
        return self.write(os.path.join("opt/aws/amazon-cloudwatch-agent", path), text, mode)

    def json(self, name, **collected):
        self.home(f"etc/amazon-cloudwatch-agent.d/{name}", json.dumps({"logs": {"logs_collected": collected}}))

    def files(self, *entries):
        return {"files": {"collect_list": [{"log_group_name": "g", **entry} for entry in entries]}}

    def sent(self):
        try:
            with open(double.SENT) as file:
                return [json.loads(line) for line in file]
        except FileNotFoundError:
            return []

    def followed(self, *entries, looks=double.PATIENCE + 2, between=lambda look: None):
        """What is sent of files by an agent that was started anew."""
        found = settings.compile_late(settings.files({"logs": {"logs_collected": self.files(*entries)}}, FACTS))
        before, sender, followers = len(self.sent()), double.Sender("eu-central-1"), {}
        for look in range(looks):
            double.follow(found, followers, sender)
            sender.send()
            between(look)
        sender.file.close()
        return self.sent()[before:]

    def wait_for(self, condition):
        deadline = time.monotonic() + 30
        while True:
            try:
                if condition():
                    return
            except FileNotFoundError:
                pass
            self.assertLess(time.monotonic(), deadline, "it doesn't come")
            time.sleep(0.05)

    def log(self):
        with open(os.path.join(double.HOME, "logs/amazon-cloudwatch-agent.log")) as file:
            return file.read()

    def mode(self, path):
        return stat.S_IMODE(os.stat(os.path.join(double.HOME, path)).st_mode)


class Times(Scratch):
    def line(self, seconds=0, pattern="%Y-%m-%dT%H:%M:%SZ", zone=time.gmtime):
        now = int(time.time()) + seconds
        return now * 1000, time.strftime(pattern, zone(now))

    def test_a_last_z_means_nothing_without_a_time_zone(self):
        moment, line = self.line()
        path = self.write("a.log", f"time={line} hello\n")
        entry = {"file_path": path, "timestamp_format": "%Y-%m-%dT%H:%M:%SZ"}
        self.assertEqual(self.followed(entry), [])
        self.assertIn("is out of accepted time range. Discard the log entry.", self.log())
        os.remove(path)
        path = self.write("b.log", f"time={line} hello\n")
        sent = self.followed({**entry, "file_path": path, "timezone": "UTC"})
        self.assertEqual([event["timestamp"] for event in sent], [moment])

    def test_local_time_is_what_others_are_read_as(self):
        moment, line = self.line(pattern="%b %d %H:%M:%S", zone=time.localtime)
        path = self.write("a.log", f"{line} hello\n")
        sent = self.followed({"file_path": path, "timestamp_format": "%b %d %H:%M:%S"})
        self.assertEqual([event["timestamp"] for event in sent], [moment])

    def test_what_is_too_old_is_thrown_away_and_a_line_without_a_time_has_that_before_it(self):
        moment, line = self.line(-3600)
        path = self.write("a.log", f"{self.line(-15 * 86400)[1]} old\n{line} new\nnone\n")
        entry = {"file_path": path, "timestamp_format": "%Y-%m-%dT%H:%M:%SZ", "timezone": "UTC"}
        self.assertEqual([event["timestamp"] for event in self.followed(entry)], [moment, moment])

    def test_directives(self):
        for text, line, expected in [
            ("%Y-%m-%d %H:%M:%S.%f", "2026-11-02 03:04:05.6", "2026-11-02T03:04:05.600"),
            ("%d/%b/%y %I:%M:%S %p", "9/Nov/26 01:00:00 PM", "2026-11-09T13:00:00.000"),
            ("%Y-%m-%dT%H:%M:%S%z", "2026-11-02T03:04:05+0130", "2026-11-02T01:34:05.000"),
            ("%Y-%m-%dT%H:%M:%S%z", "2026-11-02T03:04:05+01:30", None),
            ("%H:%M [%Y-%-m-%-d]", "at 03:04 [2026-1-2]", "2026-01-02T03:04:00.000"),
            ("%F %T", "2026-11-02 03:04:05", None),
        ]:
            found = settings.TimeFormat(text, utc=True).find(line)
            if expected:
                whole, _, fraction = expected.partition(".")
                expected = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * 1000 + int(fraction)
            self.assertEqual(found, expected, text)
        self.assertRaises(ValueError, settings.TimeFormat("%b %d", utc=True).find, "Nox 12")
        self.assertRaises(settings.Refused, settings.TimeFormat, r"%Y\q%m", utc=True)


class Files(Scratch):
    def test_of_a_pattern_the_newest_alone_or_all_but_archives(self):
        for age, name in enumerate(["new.log", "old.log", "old.log.gz"]):
            os.utime(self.write(f"app/{name}", f"{name}\n"), (0, time.time() - 60 * age - 1))
        entry = {"file_path": os.path.join(double.ROOT, "app/*")}
        self.assertEqual([event["message"] for event in self.followed(entry)], ["new.log"])
        os.remove(os.path.join(double.STATE, os.path.join(double.ROOT, "app/new.log").replace("/", "_")))
        sent = self.followed({**entry, "publish_multi_logs": True})
        self.assertEqual({event["message"] for event in sent}, {"new.log", "old.log"})
        self.assertTrue(all(event["stream"].startswith("__") for event in sent), sent)
        self.write("app/new.log", "more\n")
        sent = self.followed({**entry, "publish_multi_logs": True, "log_stream_name": "{instance_id}"})
        self.assertTrue(sent[0]["stream"].startswith("i-1__"), sent)
        self.assertEqual(self.followed({**entry, "file_path": entry["file_path"] + "[x"}), [])

    def test_nothing_is_sent_twice_and_a_file_with_a_new_name_is_read_to_its_end(self):
        path = self.write("a.log", "one\n two\nthree\n")
        entry = {"file_path": path}
        self.assertEqual([event["message"] for event in self.followed(entry)], ["one\n two", "three"])
        self.assertEqual(self.followed(entry), [])

        def rotate(look):
            if look == 0:
                os.rename(path, path + ".1")
                self.write("a.log.1", "four\n")
                self.write("a.log", "five, and this is longer than what was there\n")

        sent = self.followed(entry, looks=10, between=rotate)
        self.assertEqual([event["message"] for event in sent], ["four", "five, and this is longer than what was there"])
        self.write("a.log", "half")
        self.assertEqual(self.followed(entry), [])

    def test_filters(self):
        path = self.write("a.log", "keep this\nkeep not\nother\n")
        filters = [{"type": "include", "expression": "^keep"}, {"type": "exclude", "expression": "not"}]
        self.assertEqual([event["message"] for event in self.followed({"file_path": path, "filters": filters})], ["keep this"])

    def test_what_is_sent_is_for_root_alone(self):
        self.followed({"file_path": self.write("a.log", "one\n")})
        self.assertEqual(stat.S_IMODE(os.stat(double.SENT).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(double.SENT)).st_mode), 0o700)


class Environment(Scratch):
    def written(self):
        settings.write_environment(double.HOME)
        with open(os.path.join(double.HOME, "etc/env-config.json")) as file:
            return json.load(file)

    def test_the_proxy_is_written_for_all_to_read_unless_the_file_was_there(self):
        self.home("etc/common-config.toml", PROXY)
        self.assertEqual(self.written()["HTTPS_PROXY"], f"http://user:{PASSWORD}@127.0.0.1:1")
        self.assertEqual(self.mode("etc/env-config.json"), 0o644)
        os.remove(os.path.join(double.HOME, "etc/env-config.json"))
        self.home("etc/env-config.json", '{"OTHER": "kept"}', 0o600)
        self.assertEqual(self.written()["OTHER"], "kept")
        self.assertEqual(self.mode("etc/env-config.json"), 0o600)

    def test_a_key_in_capitals_wins_and_the_environment_is_the_last_resort(self):
        self.home("etc/common-config.toml", '[proxy]\nhttp_proxy = "ours"\nHTTP_PROXY = "theirs"\n')
        os.environ["https_proxy"] = "of the environment"
        self.addCleanup(os.environ.pop, "https_proxy")
        written = self.written()
        self.assertEqual((written["HTTP_PROXY"], written["HTTPS_PROXY"]), ("theirs", "of the environment"))

    def test_what_stops_it(self):
        self.assertRaises(settings.Refused, self.written)
        self.with_defaults()
        self.home("etc/env-config.json", "")
        self.assertRaises(settings.Refused, self.written)
        os.remove(os.path.join(double.HOME, "etc/env-config.json"))
        self.home("etc/common-config.toml", PROXY + PROXY)
        self.assertRaises(settings.Refused, self.written)


class Configuration(Scratch):
    def setUp(self):
        super().setUp()
        self.with_defaults()

    def read(self):
        merged = settings.read(double.HOME, lambda text: None)
        return settings.files(merged, FACTS), otel.read(double.HOME, merged, FACTS)

    def refused(self, why):
        with self.assertRaisesRegex(settings.Refused, re.escape(why)):
            self.read()

    def test_files_of_several_are_added_up(self):
        self.json("a.json", **self.files({"file_path": "/a"}))
        self.json("b.bak", **self.files({"file_path": "/a"}, {"file_path": "/b"}))
        self.json("c.tmp", **self.files({"file_path": "/c"}))
        self.assertEqual([entry["path"] for entry in self.read()[0]], ["/a", "/b"])

    def test_two_journals_are_one_too_many(self):
        for name in "ab":
            self.json(f"{name}.json", journald={"collect_list": [{"log_group_name": name}]})
        self.refused("Different values are specified for journald")

    def test_one_retention_for_a_group(self):
        self.json("a.json", **self.files({"file_path": "/a", "retention_in_days": 1}))
        self.json("b.json", **self.files({"file_path": "/b", "retention_in_days": 3, "log_group_name": "G"}))
        self.refused("Different retention_in_days values can't be set for the same log group: g")

    def test_a_broken_file_ends_the_scan(self):
        self.json("b.json", **self.files({"file_path": "/b"}))
        self.home("etc/amazon-cloudwatch-agent.d/c.json", "{")
        self.json("d.json", **self.files({"file_path": "/d"}))
        self.assertEqual([entry["path"] for entry in self.read()[0]], ["/b"])
        self.home("etc/amazon-cloudwatch-agent.d/a.json", "{")
        self.refused("No json config files found")

    def test_the_schema(self):
        for index, entry in enumerate([
            {"log_group_name": "g" * 513}, {"timezone": "utc"}, {"retention_in_days": 2}, {"colour": "red"},
            {"timestamp_format": "x" * 4097}, {"filters": [{"type": "only", "expression": "x"}]},
        ]):  # fmt: skip
            self.json("a.json", **self.files({"file_path": "/a", **entry}))
            self.refused("Invalid Json input schema")
            os.remove(os.path.join(double.HOME, "etc/amazon-cloudwatch-agent.d/a.json"))
        self.json("a.json", **self.files({"file_path": "/a", "log_group_name": "g" * 512, "timezone": "UTC"}))
        self.assertEqual(self.read()[0][0]["target"]["group"], "g" * 512)

    def test_opentelemetry(self):
        pipeline = {"receivers": ["journald/a"], "processors": ["filter/a"], "exporters": ["awscloudwatchlogs/a"]}
        document = {
            "extensions": {"file_storage/a": {"directory": "/state"}},
            "receivers": {"journald/a": {"start_at": "beginning", "storage": "file_storage/a", "units": ["x.service"]}},
            "processors": {"filter/a": {"logs": {"log_record": ['IsMatch(body["MESSAGE"], "secret")']}}},
            "exporters": {"awscloudwatchlogs/a": {"log_group_name": "g", "log_stream_name": "s", "log_retention": 3}},
            "service": {"extensions": ["file_storage/a"], "pipelines": {"logs/a": pipeline}},
        }

        def read(**changes):
            path = self.home("etc/amazon-cloudwatch-agent.d/a.yaml", json.dumps({**document, **changes}))
            self.addCleanup(lambda: os.path.exists(path) and os.remove(path))
            try:
                return self.read()[1]
            finally:
                os.remove(path)

        found = read()["journald/a"]
        self.assertEqual(found["arguments"], ["--no-tail", "--unit", "x.service", "--priority", "info"])
        ((conditions, targets),) = found["pipelines"]
        self.assertEqual(targets, [{"group": "g", "stream": "s", "retention": 3}])
        dropped = [conditions[0]({"MESSAGE": text}) for text in ("a secret", "none")] + [conditions[0]({})]
        self.assertEqual(dropped, [True, False, False])
        for changes in [{"receivers": {}}, {"service": {**document["service"], "extensions": []}},
                        {"exporters": {"awscloudwatchlogs/a": {"log_group_name": "g"}}}]:  # fmt: skip
            self.assertRaises(settings.Refused, read, **changes)
        os.environ["E2E_NAME"] = "x"
        self.addCleanup(os.environ.pop, "E2E_NAME")
        names = {"log_group_name": "a$E2E_NAME${env:E2E_NAME}$$$$", "log_stream_name": "a$$b", "log_retention": 1096}
        self.assertRaises(settings.Refused, read, exporters={"awscloudwatchlogs/a": names})
        found = read(exporters={"awscloudwatchlogs/a": {**names, "log_retention": 1}})
        self.assertEqual(found["journald/a"]["pipelines"][0][1], [{"group": "axx$", "stream": "a", "retention": 1}])
        wrong = {"filter/a": {"logs": {"log_record": ['IsMatch(body, "(")']}}}
        self.assertRaises(settings.Refused, read, processors=wrong)
        self.json("a.json", journald={"collect_list": [{"log_group_name": "j"}]})
        self.assertEqual(list(read()), ["journald/a", "journald/journald_0"])
        twice = {"journald/journald_0": {"start_at": "beginning"}, **document["receivers"]}
        with self.assertRaisesRegex(settings.Refused, "merge conflict in receivers"):
            read(receivers=twice)


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


if __name__ == "__main__":
    unittest.main(warnings="ignore")
