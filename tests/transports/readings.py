"""How Python's frameworks read a request, so that the filter's reading can be held to it.

A reading is what one framework, or code that is written as usual for it, may take the request
for. Where there are several ways in use, all are listed: whatever is in a list, some upstream
acts on.
"""

import http.cookies
import re
import urllib.parse

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http.request import split_domain_port
from starlette.requests import Request as StarletteRequest
from werkzeug.datastructures import Authorization
from werkzeug.wrappers import Request as WerkzeugRequest

settings.configure(ALLOWED_HOSTS=["*"], DATABASES={}, USE_TZ=True)
django.setup(set_prefix=False)


def answer(server, readings):
    """What an upstream answers: every string as it reads it."""
    return {"server": server, "readings": readings}


def reading(by, method, host, path, headers, query, cookies):
    """One reading. `headers`, `query` and `cookies` are lists of pairs."""
    return {
        "by": by,
        "method": method,
        "hosts": hosts(host),
        "path": path,
        "headers": headers,
        "query": query,
        "cookies": cookies,
        "credentials": credentials(headers),
    }


def hosts(value):
    """The host in `Host`, without its port."""
    if value is None:
        return []
    found = [
        value,
        # Starlette's routes and TrustedHostMiddleware; many a hand-written line.
        value.split(":")[0],
        value.rsplit(":", 1)[0],
        # Django: without the port and a dot at the end, in lower case.
        split_domain_port(value)[0],
    ]
    try:
        # Starlette's `request.url.hostname`.
        found.append(urllib.parse.urlsplit(f"http://{value}/").hostname or "")
    except ValueError:
        pass
    return sorted(set(found))


def credentials(headers):
    """Credentials by header, scheme in lower case, and the credential."""
    found = []
    for name, value in headers:
        if name not in ("authorization", "x-token"):
            continue
        # Flask-JWT-Extended: the parts of a list, each split at white space as Python knows it.
        for part in [value, *re.split(r",\s*", value)]:
            words = part.split()
            # Django REST framework and its like: the bytes, split at ASCII white space.
            octets = [word.decode("latin-1") for word in part.encode("latin-1", "replace").split()]
            # FastAPI and Starlette: at the first space.
            scheme, _, rest = part.partition(" ")
            for words in (words, octets, [scheme, rest], [scheme, rest.strip()]):
                if len(words) == 2:
                    found.append([name, words[0].lower(), words[1]])
        parsed = Authorization.from_header(value)
        if parsed is not None and parsed.token:
            found.append([name, parsed.type, parsed.token])
    return [list(one) for one in sorted(set(map(tuple, found)))]


def simple_cookies(value):
    """The standard library's cookies, which it also separates at white space."""
    cookies = http.cookies.SimpleCookie()
    try:
        cookies.load(value)
    except http.cookies.CookieError:
        return []
    return [[name, morsel.value] for name, morsel in cookies.items()]


def pairs(query):
    return [list(pair) for pair in urllib.parse.parse_qsl(query, keep_blank_values=True)]


def plain(by, method, target, headers):
    """Of what the standard library gives: the request line's parts and the headers."""
    path, _, query = target.partition("?")
    values = dict(reversed(headers))
    cookies = [pair for name, value in headers if name == "cookie" for pair in simple_cookies(value)]
    return reading(
        by, method, values.get("host"), urllib.parse.unquote(path, "latin-1"), headers, pairs(query), cookies
    )


def attempt(read):
    """A framework that refuses a request reads nothing."""
    try:
        return [read()]
    except Exception as error:  # each framework has errors of its own
        return [reading(f"{read.__name__}: {error}", "", None, "", [], [], [])]


def of_wsgi(server, environ):
    """WSGI's own keys, Werkzeug (Flask) and Django."""
    headers = [
        [name[5:].lower().replace("_", "-"), value]
        for name, value in environ.items()
        if name.startswith("HTTP_")
    ]

    def wsgi():
        cookies = [pair for name, value in headers if name == "cookie" for pair in simple_cookies(value)]
        query = pairs(environ.get("QUERY_STRING", ""))
        host = environ.get("HTTP_HOST")
        return reading(
            "wsgi", environ["REQUEST_METHOD"], host, environ["PATH_INFO"], headers, query, cookies
        )

    def werkzeug():
        request = WerkzeugRequest(dict(environ))
        return reading(
            "werkzeug",
            request.method,
            request.host,
            request.path,
            [[name.lower(), value] for name, value in request.headers.items()],
            [list(pair) for pair in request.args.items(multi=True)],
            [list(pair) for pair in request.cookies.items(multi=True)],
        )

    def of_django():
        return django_reading(WSGIRequest(dict(environ)))

    return answer(server, [*attempt(wsgi), *attempt(werkzeug), *attempt(of_django)])


def django_reading(request):
    # `request.GET[name]` is the last one.
    query = [[name, value] for name, values in request.GET.lists() for value in values]
    return reading(
        "django",
        request.method,
        request.get_host(),
        request.path_info,
        [[name.lower(), value] for name, value in request.headers.items()],
        query,
        [list(pair) for pair in request.COOKIES.items()],
    )


class NoBody:
    """Django reads the body when it is asked for it, which nobody does here."""

    def read(self, *_):
        return b""

    def close(self):
        pass


def of_asgi(server, scope):
    """ASGI's own keys, Starlette (FastAPI) and Django."""
    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]

    def asgi():
        cookies = [pair for name, value in headers if name == "cookie" for pair in simple_cookies(value)]
        query = pairs(scope["query_string"].decode("latin-1"))
        host = dict(reversed(headers)).get("host")
        return reading("asgi", scope["method"], host, scope["path"], headers, query, cookies)

    def starlette():
        request = StarletteRequest(scope)
        return reading(
            "starlette",
            request.method,
            request.headers.get("host"),
            request.url.path,
            [list(pair) for pair in request.headers.items()],
            [list(pair) for pair in request.query_params.multi_items()],
            [list(pair) for pair in request.cookies.items()],
        )

    def of_django():
        return django_reading(ASGIRequest(scope, NoBody()))

    return answer(server, [*attempt(asgi), *attempt(starlette), *attempt(of_django)])
