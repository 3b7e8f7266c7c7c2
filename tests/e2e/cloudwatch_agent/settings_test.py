"""Settings that the double reads: what the real agent merges, refuses, and writes to its environment."""

import json
import os
import re

from scratch import FACTS, PASSWORD, PROXY, Scratch, double, otel, settings


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
