"""A scratch folder on which the CloudWatch agent's double runs, as the virtual machines have it."""

import importlib.machinery
import json
import os
import stat
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
PROGRAM = os.path.join(HERE, "../guest/opt/aws/amazon-cloudwatch-agent/bin/start-amazon-cloudwatch-agent")
double = importlib.machinery.SourceFileLoader("double", PROGRAM).load_module()
settings, otel = double.settings, double.otel

# US/Eastern, for machines that have no time zones.
EASTERN = "EST5EDT,M3.2.0,M11.1.0"
FACTS = {"{instance_id}": "i-1", "{aws_region}": "eu-central-1"}
PASSWORD = "pa%23ss"
PROXY = f'[proxy]\nhttps_proxy = "http://user:{PASSWORD}@127.0.0.1:1"\n'


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
