"""Takes the documents of ecs-firstrun from cloud-init, which warns of what nobody takes.

cloud-init loads it as a part handler. Nothing is done with them here: ecs-firstrun.service reads the user data itself.
"""

import json
import logging
import subprocess

AGENT = "/usr/bin/ecs-firstrun"
OURS = "application/vnd.ecs-firstrun+yaml"
# Types under which a document may be as well as what nobody takes: of that cloud-init shall warn as before.
ANY = [
    "application/json",
    "application/octet-stream",
    "application/x-yaml",
    "application/yaml",
    "text/plain",
    "text/x-not-multipart",
    "text/x-yaml",
    "text/yaml",
]

LOG = logging.getLogger("cloudinit.handlers")

# On each boot, as cloud-init warns.
frequency = "always"


def list_types():
    return [OURS] + ANY


def handle_part(_data, content_type, _filename, payload):
    if content_type not in ANY or not payload:
        return
    if not isinstance(payload, bytes):
        payload = payload.encode("utf-8", "surrogateescape")
    if not is_ours(payload):
        start = payload[:24].decode("utf-8", "ignore").split("\n")[0]
        LOG.warning("Unhandled content-type (%s) userdata: '%s...'", content_type, start)


def is_ours(payload):
    """Asks ecs-firstrun, which also knows what is packed and encoded."""
    command = [AGENT, "validate", "--format", "json", "-"]
    pipe = subprocess.PIPE
    try:
        agent = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        return json.loads(agent.communicate(payload)[0].decode("utf-8"))["files"][0]["found"]
    except (OSError, ValueError) as error:
        LOG.debug("%s can't be asked: %s", AGENT, error)
        return False
