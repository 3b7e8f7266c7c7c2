"""Tells which parts of user data cloud-init keeps for an instance with the launch index 0, 1, and one that is not known.

Reads a JSON list of texts, and writes for each a list of three texts: what is kept.
"""

import json
import sys

from cloudinit import helpers, user_data
from cloudinit.filters.launch_index import Filter

processor = user_data.UserDataProcessor(helpers.Paths({"cloud_dir": "/tmp", "run_dir": "/tmp"}))


def kept(text, index):
    message = Filter(index).apply(processor.process(text))
    parts = [part for part in message.walk() if not part.is_multipart()]
    return "".join(part.get_payload(decode=True).decode() for part in parts)


json.dump([[kept(text, index) for index in (0, 1, None)] for text in json.load(sys.stdin)], sys.stdout)
