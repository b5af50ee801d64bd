#!/usr/bin/env python3
"""Does vectors/manifest.json follow vectors/manifest.schema.json? The part of JSON Schema that the schema uses, and no more:
an unknown keyword fails, so that the schema cannot say what nobody checks.  check_schema.py MANIFEST SCHEMA"""
import json
import re
import sys

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
SILENT = {"$schema", "title", "description"}


def check(value, schema, at):
    for key, rule in schema.items():
        if key == "type":
            good = isinstance(value, TYPES[rule]) and (rule == "boolean" or not isinstance(value, bool))
        elif key == "const":
            good = value == rule
        elif key == "enum":
            good = value in rule
        elif key == "pattern":
            good = re.search(rule, value) is not None
        elif key == "minimum":
            good = value >= rule
        elif key == "maxItems":
            good = len(value) <= rule
        elif key == "required":
            good = all(k in value for k in rule)
        elif key == "properties":
            for k in set(rule) & set(value):
                check(value[k], rule[k], f"{at}.{k}")
            good = True
        elif key == "additionalProperties":
            extra = set(value) - set(schema.get("properties", {}))
            for k in extra if rule else ():
                check(value[k], rule, f"{at}.{k}")
            good = bool(rule) or not extra
        elif key == "items":
            for i, v in enumerate(value):
                check(v, rule, f"{at}[{i}]")
            good = True
        else:
            good = key in SILENT
        if not good:
            sys.exit(f"{at}: {key} {json.dumps(rule)[:200]} does not hold")


with open(sys.argv[1]) as m, open(sys.argv[2]) as s:
    manifest, schema = json.load(m), json.load(s)
check(manifest, schema, "manifest")
