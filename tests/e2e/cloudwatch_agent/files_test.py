"""Files that the double follows: what it sends of them, and with which times."""

import calendar
import os
import stat
import time

from scratch import Scratch, double, settings


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
