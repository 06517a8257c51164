"""Python's HTTP servers, each on a free loopback port, each answering how a request is read.

    python3 servers.py              all that can share a process
    python3 servers.py gunicorn     the one that cannot

The first line of the output is a JSON object: ports by the servers' names. Everything ends when
standard input does.
"""

import asyncio
import json
import logging
import os
import signal
import socket
import socketserver
import sys
import threading
import wsgiref.simple_server
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import readings

CONNECTIONS = 64


def listening():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(CONNECTIONS)
    return listener


def in_thread(run, *arguments):
    threading.Thread(target=run, args=arguments, daemon=True).start()


def wsgi(server):
    def application(environ, start_response):
        body = json.dumps(readings.of_wsgi(server, environ)).encode()
        start_response(
            "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        )
        return [body]

    return application


async def websocket(scope, receive, send):
    """Takes the first subprotocol that is offered, tells the headers that came, and echoes."""
    offered = scope["subprotocols"]
    await receive()
    await send({"type": "websocket.accept", "subprotocol": offered[0] if offered else None})
    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
    await send({"type": "websocket.send", "text": json.dumps(headers)})
    if scope["path"].endswith("/short"):
        await send({"type": "websocket.close"})
        return
    while True:
        message = await receive()
        if message["type"] != "websocket.receive":
            return
        await send({"type": "websocket.send", "text": message["text"]})


def asgi(server):
    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        if scope["type"] == "websocket":
            await websocket(scope, receive, send)
        if scope["type"] != "http":
            return
        body = json.dumps(readings.of_asgi(server, scope)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application


class Plain(BaseHTTPRequestHandler):
    """The standard library's, without WSGI."""

    protocol_version = "HTTP/1.1"

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def answer(self):
        headers = [[name.lower(), value] for name, value in self.headers.items()]
        reading = readings.plain("http.server", self.command, self.path, headers)
        body = json.dumps(readings.answer("http.server", [reading])).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class WsgiServer(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class WsgiHandler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


def http_server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Plain)
    in_thread(server.serve_forever)
    return server.server_address[1]


def wsgiref_server():
    server = wsgiref.simple_server.make_server(
        "127.0.0.1", 0, wsgi("wsgiref"), server_class=WsgiServer, handler_class=WsgiHandler
    )
    in_thread(server.serve_forever)
    return server.server_address[1]


def werkzeug_server():
    import werkzeug.serving

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = werkzeug.serving.make_server("127.0.0.1", 0, wsgi("werkzeug"), threaded=True)
    in_thread(server.serve_forever)
    return server.server_port


def waitress_server():
    import waitress

    listener = listening()
    server = waitress.create_server(wsgi("waitress"), sockets=[listener])
    in_thread(server.run)
    return listener.getsockname()[1]


def uvicorn_server(parser):
    import uvicorn

    listener = listening()
    config = uvicorn.Config(asgi(f"uvicorn-{parser}"), http=parser, log_level="critical")
    in_thread(uvicorn.Server(config).run, [listener])
    return listener.getsockname()[1]


def hypercorn_server():
    import hypercorn.asyncio
    import hypercorn.config

    listener = listening()
    config = hypercorn.config.Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.errorlog = config.accesslog = None
    port = socket.socket(fileno=os.dup(int(config.bind[0][5:]))).getsockname()[1]

    async def serve():
        application = asgi("hypercorn")
        await hypercorn.asyncio.serve(application, config, shutdown_trigger=asyncio.Event().wait)

    in_thread(asyncio.run, serve())
    return port


def gunicorn_server():
    from gunicorn.app.base import BaseApplication

    listener = listening()
    os.set_inheritable(listener.fileno(), True)

    class Application(BaseApplication):
        def load_config(self):
            self.cfg.set("bind", f"fd://{listener.fileno()}")
            self.cfg.set("threads", 4)
            self.cfg.set("loglevel", "critical")

        def load(self):
            return wsgi("gunicorn")

    print(json.dumps({"gunicorn": listener.getsockname()[1]}), flush=True)
    in_thread(until_the_end, lambda: os.kill(os.getpid(), signal.SIGTERM))
    Application().run()


def until_the_end(stop):
    # Not by way of `sys.stdin`, whose lock a thread must not hold when Python ends.
    while os.read(0, 4096):
        pass
    stop()


if __name__ == "__main__":
    if sys.argv[1:] == ["gunicorn"]:
        gunicorn_server()
    else:
        ports = {
            "http.server": http_server(),
            "wsgiref": wsgiref_server(),
            "werkzeug": werkzeug_server(),
            "waitress": waitress_server(),
            "uvicorn-h11": uvicorn_server("h11"),
            "uvicorn-httptools": uvicorn_server("httptools"),
            "hypercorn": hypercorn_server(),
        }
        print(json.dumps(ports), flush=True)
        until_the_end(lambda: os._exit(0))
