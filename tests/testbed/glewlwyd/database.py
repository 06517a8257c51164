"""Makes a database of SQLite from a compressed script: python3 database.py SCRIPT.gz DATABASE"""

import gzip
import os
import sqlite3
import sys

script, database = sys.argv[1:]
if os.path.exists(database):
    os.remove(database)
with gzip.open(script, "rt", encoding="utf-8") as file:
    statements = file.read()
connection = sqlite3.connect(database)
# At once: each statement by itself would be written to the disk.
connection.executescript(f"BEGIN;\n{statements}\nCOMMIT;")
connection.close()
