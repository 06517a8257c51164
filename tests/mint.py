"""Mints tokens with PyJWT, which shares no code with this project.

Reads a JSON array of {pem, algorithm, header, claims} from standard input and
writes the array of tokens.
"""

import json
import sys

import jwt

tokens = [
    jwt.encode(
        order["claims"],
        order["pem"],
        algorithm=order["algorithm"],
        headers=order["header"],
    )
    for order in json.load(sys.stdin)
]
json.dump(tokens, sys.stdout)
