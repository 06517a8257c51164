"""canaille, an OpenID provider, on a free port of 127.0.0.1, until standard input ends.

Arguments: a folder for its database; its people and its clients, as JSON; how long its tokens are good, in
seconds. It prints its port as JSON, and logs each request to standard error.
"""

import json
import socket
import sys
import threading

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from werkzeug.serving import make_server

folder, people, clients = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
life = int(sys.argv[4])

listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
app = create_app(
    {
        "SECRET_KEY": "a secret of tests alone",
        "SERVER_NAME": f"127.0.0.1:{port}",
        "PREFERRED_URL_SCHEME": "http",
        "OAUTH2_TOKEN_EXPIRES_IN": {"authorization_code": life, "refresh_token": life},
        "CANAILLE": {
            "CAPTCHA_ENABLED": False,
            "JAVASCRIPT": False,
            "HTMX": False,
            "SMTP": None,
            "LANGUAGE": "en",
            "TIMEZONE": "UTC",
        },
        "CANAILLE_SQL": {
            "DATABASE_URI": f"sqlite:///{folder}/canaille.sqlite",
            # Its passwords are in the tests.
            "PASSWORD_SCHEMES": "plaintext",
        },
    }
)
with app.app_context(), Backend.instance.session():
    for person in people:
        Backend.instance.save(models.User(**person))
    for client in clients:
        client = models.Client(**client)
        Backend.instance.save(client)
        # As where a client registers itself: its ID tokens are for it.
        client.audience = [client]
        Backend.instance.save(client)
server = make_server("127.0.0.1", port, app, threaded=True, fd=listener.fileno())
print(json.dumps({"port": port}), flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
