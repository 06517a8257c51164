from base64 import b64decode
from dataclasses import asdict, dataclass

from flask import Flask, abort, request

app = Flask(__name__)


@dataclass
class User:
    id: str
    name: str
    roles: list[str]


def current_user():
    headers = request.headers
    if not headers.get("x-user"):  # it did not come through a rule that requires a token
        abort(401)
    roles = headers.get("x-roles")
    return User(
        id=headers["x-user"],
        name=b64decode(headers.get("x-name", "")).decode(),
        roles=roles.split(",") if roles else [],
    )


@app.get("/api/public")
def public():
    return {"message": "for everybody"}


@app.get("/api/private")
def private():
    return asdict(current_user())


@app.get("/api/private-scoped")
def private_scoped():
    return asdict(current_user())  # the gateway has looked for the scope


@app.get("/api/messages/<author>")
def messages(author):
    user = current_user()
    if author != user.id and "admin" not in user.roles:
        abort(403)
    return {"author": author}
