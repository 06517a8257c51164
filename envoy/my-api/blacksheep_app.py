from base64 import b64decode

from blacksheep import Application, Request, allow_anonymous, forbidden, get
from guardpost import AuthenticationHandler, Identity, Policy
from guardpost.common import AuthenticatedRequirement

app = Application()


class FromTheGateway(AuthenticationHandler):
    def authenticate(self, context: Request) -> Identity | None:
        def header(name: bytes) -> str:
            return (context.get_first_header(name) or b"").decode()

        if user := header(b"x-user"):
            roles = header(b"x-roles")
            claims = {
                "sub": user,
                "name": b64decode(header(b"x-name")).decode(),
                "roles": roles.split(",") if roles else [],
            }
            context.user = Identity(claims, "bearer-gate")
        return context.user


app.use_authentication().add(FromTheGateway())
# 401 for what did not come through a rule that requires a token.
app.use_authorization().default_policy = Policy("user", AuthenticatedRequirement())


def shown(user: Identity):
    return {"id": user.sub, "name": user["name"], "roles": user["roles"]}


@allow_anonymous()
@get("/api/public")
def public():
    return {"message": "for everybody"}


@get("/api/private")
def private(user: Identity):
    return shown(user)


@get("/api/private-scoped")
def private_scoped(user: Identity):
    return shown(user)  # the gateway has looked for the scope


@get("/api/messages/{author}")
def messages(author: str, user: Identity):
    if author != user.sub and "admin" not in user["roles"]:
        return forbidden()
    return {"author": author}
