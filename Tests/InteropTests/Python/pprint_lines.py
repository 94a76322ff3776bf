"""Prints each line of JSON as Python's pprint, json.dumps and repr do, with a line of its own between."""
import json, pprint, sys

for line in sys.stdin:
    value = json.loads(line)
    pprint.pprint(value)
    print(json.dumps(value, indent=2, sort_keys=True))
    print(str(value))
