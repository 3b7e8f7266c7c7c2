"""The JSON files of the CloudWatch agent's double: read, merged and checked as the real agent's translator does.

What stops the real agent is `Refused` here: a value that two files give differently, and what its schema doesn't allow.
"""

import calendar
import json
import os
import re
import socket
import time
import tomllib
import urllib.request

FOLDER = "etc/amazon-cloudwatch-agent.d"
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
SPACE = r"\s?"
# What stands for each directive in the expression that finds a time in a line.
DIRECTIVES = {
    "%B": r"\w{7}", "%b": r"\w{3}", "%m": SPACE + r"\d{1,2}", "%-m": SPACE + r"\d{1,2}", "%A": r"\w{6,9}",
    "%a": r"\w{3}", "%d": SPACE + r"\d{1,2}", "%-d": SPACE + r"\d{1,2}", "%H": r"\d{2}", "%I": r"\d{2}",
    "%-I": r"\d{1,2}", "%M": r"\d{2}", "%-M": r"\d{1,2}", "%S": r"\d{2}", "%-S": r"\d{1,2}", "%Y": r"\d{4}",
    "%y": r"\d{2}", "%p": r"\w{2}", "%Z": r"\w{3}", "%z": r"[+-]\d{4}", "%f": r"\d{1,9}",
}
RETENTIONS = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]


class Refused(Exception):
    """The agent ends with 1."""


def text(most, least=1):
    return lambda value: isinstance(value, str) and least <= len(value) <= most


def one_of(*values):
    return lambda value: value in values


def list_of(check):
    def is_one(value):
        distinct = isinstance(value, list) and not any(value.count(item) > 1 for item in value)
        return distinct and value and all(map(check, value))

    return is_one


def object_of(required=(), **checks):
    known = {name.replace("__", "."): check for name, check in checks.items()}

    def is_one(value):
        if not isinstance(value, dict):
            return False
        for name in [*required, *value]:
            if name not in value or name not in known or not known[name](value[name]):
                raise Refused(f"Invalid Json input schema: {name}: {str(value.get(name))[:80]}")
        return True

    return is_one


def flag(value):
    return isinstance(value, bool)


NAME = text(512)
FILTERS = object_of(("type", "expression"), type=one_of("include", "exclude"), expression=text(4096, 0))
COMMON = {
    "log_group_name": NAME, "log_stream_name": NAME, "log_group_class": NAME,
    "retention_in_days": one_of(-1, *RETENTIONS),
    "filters": lambda value: isinstance(value, list) and all(map(FILTERS, value)),
}
FILE = object_of(
    ("file_path",), **COMMON, file_path=text(4096, 0), timestamp_format=text(4096),
    timezone=one_of("Local", "LOCAL", "UTC"), multi_line_start_pattern=text(4096), encoding=text(4096),
    blacklist=text(4096), publish_multi_logs=flag, auto_removal=flag, trim_timestamp=flag,
    backpressure_mode=one_of("fd_release"), service__name=text(255),
    deployment__environment=text(259),
)
PRIORITIES = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", *"01234567"]
ENTRY = object_of(
    ("log_group_name",), **COMMON, units=list_of(text(256, 0)), priority=one_of(*PRIORITIES),
    matches=list_of(lambda value: isinstance(value, dict) and all(isinstance(item, str) for item in value.values())),
)
COLLECTED = object_of(
    files=object_of(("collect_list",), collect_list=list_of(FILE)),
    journald=object_of(("collect_list",), collect_list=list_of(ENTRY)),
)
LOGS = object_of(
    logs_collected=lambda value: COLLECTED(value) and value, log_stream_name=NAME,
    force_flush_interval=one_of(*range(1, 172801)), credentials=object_of(role_arn=text(2048, 20)),
    endpoint_override=text(2048), concurrency=lambda value: isinstance(value, int) and value >= 1,
    service__name=text(255), deployment__environment=text(259),
)
LIST = "a list to which each file adds what it has"
# Sections in which several files may have a say; all else must be equal wherever it is given.
SECTIONS = {
    "agent": {}, "metrics": {}, "traces": {}, "opentelemetry": {},
    "logs": {"logs_collected": {"files": {"collect_list": LIST}}},
}


def metadata():
    """What fills the placeholders of names. Without the metadata service the real agent ends after some seconds."""
    endpoint = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    began = time.monotonic()
    while True:
        try:
            headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
            request = urllib.request.Request(endpoint + "/latest/api/token", headers=headers, method="PUT")
            headers = {"X-aws-ec2-metadata-token": opener.open(request, timeout=2).read().decode()}
            request = urllib.request.Request(endpoint + "/latest/dynamic/instance-identity/document", headers=headers)
            document = json.load(opener.open(request, timeout=2))
            break
        except OSError as error:
            if time.monotonic() - began > 6:
                raise Refused(f"no metadata: {error}") from None
            time.sleep(1)
    return {
        "{instance_id}": document["instanceId"], "{aws_region}": document["region"],
        "{account_id}": document["accountId"], "{ip_address}": document.get("privateIp", ""),
        "{hostname}": socket.gethostname(), "{local_hostname}": socket.gethostname(),
        "{date}": time.strftime("%Y-%m-%d"),
    }


def read(home, say):
    """What the JSON files say together."""
    merged, has_yaml = read_files(home, say)
    if not merged and not has_yaml:
        raise Refused("No json config files found, please provide config, exit now")
    if not LOGS(merged.get("logs", {})):
        raise Refused("Invalid Json input schema: logs")
    write_environment(home)
    return merged


def read_files(home, say):
    """The main file and whatever is in the folder, in order; a broken one there ends the scan, those before it count."""
    folder, main = os.path.join(home, FOLDER), os.path.join(home, "etc/amazon-cloudwatch-agent.json")
    found = sorted(os.path.join(path, name) for path, _, names in os.walk(folder) for name in names)
    paths = [main] if os.path.exists(main) else []
    paths += [path for path in found if os.path.exists(path) and not path.endswith((".tmp", ".yaml"))]
    merged = {}
    for path in paths:
        try:
            with open(path) as file:
                document = json.load(file)
        except ValueError as error:
            if path == main:
                raise Refused(f"unable to get old json config file with error: {error}") from None
            say(f"unable to scan config dir {folder} with error: {error}")
            break
        merge({name: document[name] for name in SECTIONS if name in document}, merged, SECTIONS)
    return merged, any(path.endswith(".yaml") for path in found)


def merge(document, merged, rules):
    for key, value in document.items():
        if rules.get(key) is LIST:
            merged[key] = merged.get(key, []) + [item for item in value if item not in merged.get(key, [])]
        elif key in rules:
            merge(value, merged.setdefault(key, {}), rules[key])
        elif merged.setdefault(key, value) != value:
            raise Refused(f"Different values are specified for {key}")


def write_environment(home):
    """Writes env-config.json: the proxy of common-config.toml, else of the environment.

    A file that is there keeps its mode; a new one is for all to read.
    """
    try:
        with open(os.path.join(home, "etc/common-config.toml"), "rb") as file:
            section = tomllib.load(file).get("proxy", {})
    except FileNotFoundError as error:
        raise Refused(f"failed to open common-config file: {error}") from None
    except ValueError as error:
        raise Refused(f"unable to decode toml: {error}") from None
    # Keys are found whatever their case, and one in capitals wins.
    section = {key.lower(): section[key] for key in sorted(section, reverse=True)}
    path = os.path.join(home, "etc/env-config.json")
    variables = {}
    if os.path.exists(path):
        with open(path) as file:
            try:
                variables = json.load(file)
            except ValueError as error:
                raise Refused(f"Failed to write env config. Reason: parsing {path}: {error}") from None
    for name, others in {"http_proxy": "HTTP_PROXY", "https_proxy": "HTTPS_PROXY", "no_proxy": "No_PROXY"}.items():
        value = section.get(name) or os.environ.get(others) or os.environ.get(name)
        variables.pop(name.upper(), None)
        variables |= {name.upper(): value} if value else {}
    with open(path, "w") as file:
        json.dump(variables, file, indent="\t")


def files(merged, facts):
    """The files that are followed: each entry's pattern, its target, and how its lines are read."""
    logs = merged.get("logs", {})
    entries = logs.get("logs_collected", {}).get("files", {}).get("collect_list", [])
    seen = {}
    for entry in entries:
        group, days = entry.get("log_group_name", "").lower(), entry.get("retention_in_days", -1)
        if days > 0 and seen.setdefault(group, days) != days:
            raise Refused(f"Different retention_in_days values can't be set for the same log group: {group}")
    return [follow_file(entry, logs.get("log_stream_name"), facts) for entry in entries]


def target(entry, default, facts):
    names = [entry.get("log_group_name", ""), entry.get("log_stream_name", default)]
    for placeholder, value in facts.items():
        names = [name.replace(placeholder, value) for name in names]
    return {"group": names[0], "stream": names[1], "retention": entry.get("retention_in_days", -1)}


def expression(pattern):
    try:
        return re.compile(pattern)
    except re.error as error:
        raise Refused(f"{pattern}: {error}") from None


def follow_file(entry, default, facts):
    path = entry["file_path"]
    group = entry.get("log_group_name", os.path.splitext(path)[0])
    format_of_time = entry.get("timestamp_format")
    found = TimeFormat(format_of_time, entry.get("timezone") == "UTC") if format_of_time else None
    many = entry.get("publish_multi_logs", False)
    try:
        "".encode(entry.get("encoding", "utf-8"))
    except LookupError as error:
        raise Refused(f"{error}") from None
    start = entry.get("multi_line_start_pattern", r"^[\S]")
    return {
        "path": path, "time": found, "many": many,
        # Each file has its own name in the stream's, and nothing before that unless it is asked for.
        "target": target({**entry, "log_group_name": group}, default or ("" if many else "{instance_id}"), facts),
        "start": found.expression if start == "{timestamp_format}" and found else start,
        "encoding": entry.get("encoding", "utf-8"),
        "exclude": entry.get("blacklist"),
        "filters": [(item["type"] == "include", expression(item["expression"])) for item in entry.get("filters", [])],
    }


def compile_late(entries):
    """Compiles what the translator lets pass: one expression that is wrong, and no file of any entry is followed."""
    for entry in entries:
        entry["start"] = re.compile(entry["start"])
        entry["exclude"] = entry["exclude"] and re.compile(entry["exclude"])
    return entries


def passes(filters, message):
    return all(bool(pattern.search(message)) == include for include, pattern in filters)


class TimeFormat:
    """Finds a time in a line, as milliseconds since 1970. A letter that is no directive, such as Z, means nothing."""

    def __init__(self, text, utc):
        self.utc, self.names, pattern = utc, [], ""
        for word in re.findall(r"%-?[A-Za-z]|.", text, re.DOTALL):
            if word in DIRECTIVES:
                self.names.append(word.replace("-", ""))
                # No space before a number that the format begins with.
                pattern += f"({DIRECTIVES[word] if pattern else DIRECTIVES[word].removeprefix(SPACE)})"
            else:
                # A backslash stays what it is in an expression.
                pattern += re.sub(r"[]^.*?+|[(){}$]", r"\\\g<0>", word)
        self.expression = expression(pattern)

    def find(self, line):
        match = self.expression.search(line)
        if not match:
            return None
        part = dict(zip(self.names, match.groups()))
        month = part.get("%b") or part.get("%B")
        month = MONTHS.index(month[:3].lower()) + 1 if month else int(part.get("%m", 1))
        hour = int(part.get("%H", 0)) if "%I" not in part else int(part["%I"]) % 12 + 12 * (part.get("%p") == "PM")
        year = int(part.get("%Y", 0))
        if "%y" in part:
            year = int(part["%y"]) + (1900 if int(part["%y"]) >= 69 else 2000)
        moment = [year, month, int(part.get("%d", 1)), hour, int(part.get("%M", 0)), int(part.get("%S", 0))]
        if not (1 <= moment[1] <= 12 and 1 <= moment[2] <= 31 and hour < 24 and moment[4] < 60 and moment[5] < 60):
            raise ValueError(f"parsing time {match[0]!r}: out of range")
        if not year:
            moment[0] = time.localtime().tm_year
            moment[0] -= self.seconds(moment, part) - time.time() > 30 * 86400
        return self.seconds(moment, part) * 1000 + int((part.get("%f", "") + "000")[:3])

    def seconds(self, moment, part):
        zone = part.get("%Z")
        if "%z" in part:
            sign, hours, minutes = part["%z"][0], int(part["%z"][1:3]), int(part["%z"][3:])
            return calendar.timegm(moment) - int(sign + "1") * (hours * 60 + minutes) * 60
        if self.utc or zone and zone not in time.tzname:
            return calendar.timegm(moment)
        return int(time.mktime((*moment, 0, 0, -1)))
