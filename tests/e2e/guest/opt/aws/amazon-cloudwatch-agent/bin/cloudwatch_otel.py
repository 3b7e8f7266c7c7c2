"""The journal's part of the CloudWatch agent's double: the real agent is an OpenTelemetry collector there.

A component that isn't defined, and a name that means two things, end the real agent. What that one knows and this one
doesn't is refused too, so that nobody takes it for tried.
"""

import ast
import json
import os
import re

import cloudwatch_settings as settings
import yaml
from cloudwatch_settings import Refused

STORAGE = "/opt/aws/amazon-cloudwatch-agent/logs/state/otel"


def read(home, merged, facts):
    """The YAML files of the folder, and what the journal's section of the JSON files is translated to."""
    otel = {}
    folders = os.walk(os.path.join(home, settings.FOLDER))
    found = sorted(os.path.join(folder, name) for folder, _, names in folders for name in names)
    for path in found:
        if path.endswith(".yaml"):
            with open(path) as file:
                merge(yaml.safe_load(file), otel)
    journal = merged.get("logs", {}).get("logs_collected", {}).get("journald", {}).get("collect_list", [])
    for index, entry in enumerate(journal):
        merge(translated(index, entry, facts), otel)
    return receivers(json.loads(expand(expand(json.dumps(otel)))))


def expand(text):
    """Variables of the environment are filled in, twice: once for the merged whole, once when that is read."""
    def fill_in(match):
        return "$" if match[1] == "$" else os.environ.get(match[2] or match[3], "")

    return re.sub(r"\$(\$|\{(?:env:)?(\w+)\}|([A-Za-z_]\w*))", fill_in, text)


def merge(source, merged, path=()):
    """A name that two files have must mean the same; the extensions of the service are added up."""
    for key, value in source.items():
        if path == ("service",) and key == "extensions":
            merged[key] = merged.get(key, []) + [item for item in value if item not in merged.get(key, [])]
        elif path in ((), ("service",)) and isinstance(value, dict):
            merge(value, merged.setdefault(key, {}), (*path, key))
        elif merged.setdefault(key, value) != value:
            raise Refused(f"failed to merge OTEL configs: merge conflict in {'::'.join(path)}: [{key}]")


def translated(index, entry, facts):
    """An entry of the journal's section, in OpenTelemetry's terms."""
    to = settings.target(entry, "{instance_id}", facts)
    matched = [(item["type"], f"IsMatch(body, {json.dumps(item['expression'])})") for item in entry.get("filters", [])]
    conditions = [condition for kind, condition in matched if kind == "exclude"]
    included = " or ".join(condition for kind, condition in matched if kind == "include")
    conditions += [f"not ({included})"] if included else []
    receiver = {key: entry[key] for key in ("units", "priority", "matches") if key in entry}
    exporter = {"log_group_name": to["group"], "log_stream_name": to["stream"]}
    exporter["log_retention"] = entry.get("retention_in_days", 0)
    storage, kinds = "file_storage/opentelemetry", ("journald", "filter", "awscloudwatchlogs")
    names = [f"{kind}/journald_{index}" for kind in kinds]
    pipeline = dict(zip(("receivers", "processors", "exporters"), ([name] for name in names)))
    return {
        "extensions": {storage: {"directory": STORAGE, "create_directory": True}},
        "receivers": {names[0]: {**receiver, "storage": storage}},
        "processors": {names[1]: {"logs": {"log_record": conditions}}},
        "exporters": {names[2]: exporter},
        "service": {"extensions": [storage], "pipelines": {f"logs/journald/{index}": pipeline}},
    }


def known(name, wanted, *keys):
    unknown = set(wanted or {}) - set(keys)
    if unknown:
        raise Refused(f"{name}: invalid keys, or none that the double knows: {sorted(unknown)}")
    return wanted or {}


def component(otel, section, name):
    if name not in otel.get(section, {}):
        raise Refused(f"references {section} {name!r} which is not configured")
    return otel[section][name]


def receivers(otel):
    """The receivers that pipelines have: journalctl's arguments, where the cursor is kept, and the pipelines."""
    found = {}
    for pipeline in otel.get("service", {}).get("pipelines", {}).values():
        conditions = []
        for name in pipeline.get("processors", []):
            conditions += processor(name, component(otel, "processors", name))
        targets = [exporter(name, component(otel, "exporters", name)) for name in pipeline["exporters"]]
        for name in pipeline["receivers"]:
            receiver = found.setdefault(name, {**journal_receiver(otel, name), "pipelines": []})
            receiver["pipelines"].append((conditions, targets))
    return found


def journal_receiver(otel, name):
    if name.partition("/")[0] != "journald":
        raise Refused(f"the double knows no receiver {name}")
    lists = {"units": "--unit", "identifiers": "--identifier"}
    keys = ("start_at", "priority", "matches", "storage", "all", "dmesg", "directory", "convert_message_bytes", *lists)
    wanted = known(name, component(otel, "receivers", name), *keys)
    arguments = {"end": [], "beginning": ["--no-tail"]}.get(wanted.get("start_at", "end"))
    if arguments is None:
        raise Refused(f"invalid value '{wanted['start_at']}' for parameter 'start_at'")
    for key, option in lists.items():
        arguments += [word for value in wanted.get(key, []) for word in (option, value)]
    arguments += ["--priority", str(wanted.get("priority", "info"))]
    arguments += [f"--{key}" for key in ("dmesg", "all") if wanted.get(key)]
    arguments += ["--directory", wanted["directory"]] if "directory" in wanted else []
    for index, match in enumerate(wanted.get("matches", [])):
        arguments += ["+"] * bool(index) + [f"{field}={match[field]}" for field in sorted(match)]
    storage = wanted.get("storage")
    if storage and storage not in otel.get("service", {}).get("extensions", []):
        raise Refused(f"storage client not found: {storage}")
    return {"arguments": arguments, "storage": component(otel, "extensions", storage) if storage else None}


def processor(name, wanted):
    """The conditions under which a record is dropped."""
    kind = name.partition("/")[0]
    if kind == "batch":
        return []
    if kind != "filter":
        raise Refused(f"the double knows no processor {name}")
    logs = known(name, wanted, "error_mode", "logs").get("logs") or {}
    return [condition(text) for text in known(name, logs, "log_record").get("log_record", [])]


def condition(text):
    """A condition in OpenTelemetry's language, as far as it is Python's too: IsMatch, body["…"], not, and, or."""
    names = {"IsMatch": is_match, "nil": None, "true": True, "false": False}
    code = compile(text, text, "eval")
    for call in ast.walk(ast.parse(text, mode="eval")):
        if isinstance(call, ast.Call):
            settings.expression(call.args[1].value)
    return lambda body: eval(code, {"__builtins__": {}, **names, "body": Fields(body)})  # noqa: S307


class Fields(dict):
    def __missing__(self, key):
        return None


def is_match(value, pattern):
    if value is None:
        return False
    return bool(re.search(pattern, value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))))


def exporter(name, wanted):
    if name.partition("/")[0] != "awscloudwatchlogs":
        raise Refused(f"the double knows no exporter {name}")
    optional = ("log_retention", "region", "role_arn", "endpoint", "sending_queue", "retry_on_failure")
    wanted = known(name, wanted, "log_group_name", "log_stream_name", *optional)
    for key in ("log_group_name", "log_stream_name"):
        if not wanted.get(key):
            raise Refused(f"{name}: '{key}' must be set")
    if wanted.get("log_retention", 0) not in {0, *settings.RETENTIONS} - {1096}:
        raise Refused(f"{name}: invalid value for retention policy")
    days = wanted.get("log_retention") or -1
    return {"group": wanted["log_group_name"], "stream": wanted["log_stream_name"], "retention": days}
