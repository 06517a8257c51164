from base64 import b64decode
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel

app = FastAPI()


class User(BaseModel):
    id: str
    name: str
    roles: list[str]


def user_of(
    x_user: Annotated[str | None, Header()] = None,
    x_name: Annotated[str, Header()] = "",
    x_roles: Annotated[str, Header()] = "",
) -> User:
    if not x_user:  # it did not come through a rule that requires a token
        raise HTTPException(401)
    roles = x_roles.split(",") if x_roles else []
    return User(id=x_user, name=b64decode(x_name).decode(), roles=roles)


CurrentUser = Annotated[User, Depends(user_of)]


@app.get("/api/public")
def public():
    return {"message": "for everybody"}


@app.get("/api/private")
def private(user: CurrentUser):
    return user


@app.get("/api/private-scoped")
def private_scoped(user: CurrentUser):
    return user  # the gateway has looked for the scope


@app.get("/api/messages/{author}")
def messages(author: str, user: CurrentUser):
    if author != user.id and "admin" not in user.roles:
        raise HTTPException(403)
    return {"author": author}
