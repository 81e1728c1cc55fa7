"""The OpenAPI document, held against the validator of openapi-spec-validator.
Usage: python3 described.py <gateway address>"""

import json
import sys
import urllib.request

from openapi_spec_validator import OpenAPIV31SpecValidator

with urllib.request.urlopen(sys.argv[1] + "/openapi.json") as response:
    document = json.load(response)
errors = [e.message for e in OpenAPIV31SpecValidator(document).iter_errors()]
assert not errors, errors
print("openapi: ok")
