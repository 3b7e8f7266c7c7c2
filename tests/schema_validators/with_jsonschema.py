"""Checks a schema with Python's jsonschema, and prints which documents are right by it.

Arguments: the file of the schema, and a file with the documents by name. Prints true or false for each name, as JSON.
"""

import json
import sys

from jsonschema import Draft7Validator, Draft202012Validator

schema, documents = (json.load(open(path, encoding="utf-8")) for path in sys.argv[1:])
Draft7Validator.check_schema(schema)
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
print(json.dumps({name: validator.is_valid(document) for name, document in documents.items()}))
