"""A client for HTTP/2 without TLS and for HTTP/3 that sends what it is told to, however wrong.

Reads lines from standard input, each a JSON array of {protocol, port, headers, trailers, body}, and
writes for each a line with the array of {status, headers, body} in the same order, or {error} where
no answer came. Each line has connections of its own. `headers` and `trailers` are pairs of texts,
whose characters are bytes (ISO-8859-1), pseudo-headers included and in their order. `trailers` and
`body` may be left out.
"""

import asyncio
import json
import ssl
import sys

from aioquic.asyncio import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamReset
from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

# Connections of each protocol; on each is one request at a time.
LANES = 6
# Seconds for one request. Much more than it takes, for the machine may be busy.
TIME_LIMIT = 10


class NoAnswer(Exception):
    pass


class Answer:
    def __init__(self):
        self.headers = None
        self.body = b""

    def take_headers(self, headers):
        # Not those of an interim response, and not trailers.
        if self.headers is None and not dict(headers)[b":status"].startswith(b"1"):
            self.headers = headers

    def json(self):
        headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in self.headers]
        return {
            "status": int(dict(headers)[":status"]),
            "headers": headers,
            "body": self.body.decode("utf-8", "replace"),
        }


def octets(pairs):
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


class Http2:
    """RFC 9113, as much of it as one request at a time needs."""

    PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    @classmethod
    async def open(cls, port):
        self = cls()
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        self.encoder, self.decoder = Encoder(), Decoder()
        self.next_stream = 1
        window = WindowUpdateFrame(0, window_increment=2**30)
        settings = SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 2**30})
        self.writer.write(self.PREFACE + settings.serialize() + window.serialize())
        return self

    async def request(self, headers, body, trailers):
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        frames = [self.block(stream, headers, body is None and not trailers)]
        if body is not None:
            data = DataFrame(stream, data=body.encode("latin-1"))
            if not trailers:
                data.flags.add("END_STREAM")
            frames.append(data)
        if trailers:
            frames.append(self.block(stream, trailers, True))
        self.writer.write(b"".join(frame.serialize() for frame in frames))
        answer = Answer()
        while True:
            head = await self.reader.readexactly(9)
            frame, length = Frame.parse_frame_header(memoryview(head))
            frame.parse_body(memoryview(await self.reader.readexactly(length)))
            if isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
                self.writer.write(SettingsFrame(0, flags=["ACK"]).serialize())
            elif isinstance(frame, PingFrame) and "ACK" not in frame.flags:
                reply = PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"])
                self.writer.write(reply.serialize())
            elif isinstance(frame, GoAwayFrame):
                raise NoAnswer(f"GOAWAY {frame.error_code}")
            elif isinstance(frame, HeadersFrame):
                # Always decoded: the table is the connection's.
                fields = [(bytes(n), bytes(v)) for n, v in self.decoder.decode(frame.data, raw=True)]
                if frame.stream_id == stream:
                    answer.take_headers(fields)
            elif frame.stream_id != stream:
                continue
            elif isinstance(frame, RstStreamFrame):
                raise NoAnswer(f"RST_STREAM {frame.error_code}")
            elif isinstance(frame, DataFrame):
                answer.body += frame.data
            if frame.stream_id == stream and "END_STREAM" in frame.flags:
                return answer.json()

    def block(self, stream, fields, last):
        frame = HeadersFrame(stream, data=self.encoder.encode(octets(fields)))
        frame.flags.add("END_HEADERS")
        if last:
            frame.flags.add("END_STREAM")
        return frame

    async def close(self):
        self.writer.close()


class Http3Protocol(QuicConnectionProtocol):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.http = H3Connection(self._quic)
        self.waiting = {}

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            for _, future in self.waiting.values():
                self.fail(future, f"closed: {event.error_code} {event.reason_phrase}")
        elif isinstance(event, StreamReset) and event.stream_id in self.waiting:
            self.fail(self.waiting[event.stream_id][1], f"reset: {event.error_code}")
        for http in self.http.handle_event(event):
            if not isinstance(http, (HeadersReceived, DataReceived)) or http.stream_id not in self.waiting:
                continue
            answer, future = self.waiting[http.stream_id]
            if isinstance(http, HeadersReceived):
                answer.take_headers(http.headers)
            else:
                answer.body += http.data
            if http.stream_ended and not future.done():
                future.set_result(answer)

    @staticmethod
    def fail(future, why):
        if not future.done():
            future.set_exception(NoAnswer(why))


class Http3:
    """RFC 9114."""

    @classmethod
    async def open(cls, port):
        self = cls()
        configuration = QuicConfiguration(alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE)
        configuration.server_name = "testbed"
        self.context = connect(
            "127.0.0.1", port, configuration=configuration, create_protocol=Http3Protocol
        )
        self.protocol = await self.context.__aenter__()
        return self

    async def request(self, headers, body, trailers):
        protocol = self.protocol
        stream = protocol._quic.get_next_available_stream_id()
        future = asyncio.get_running_loop().create_future()
        protocol.waiting[stream] = (Answer(), future)
        http = protocol.http
        http.send_headers(stream, octets(headers), end_stream=body is None and not trailers)
        if body is not None:
            http.send_data(stream, body.encode("latin-1"), end_stream=not trailers)
        if trailers:
            http.send_headers(stream, octets(trailers), end_stream=True)
        protocol.transmit()
        try:
            return (await future).json()
        finally:
            del protocol.waiting[stream]

    async def close(self):
        self.protocol.close()
        self.protocol.transmit()
        self.protocol._transport.close()


PROTOCOLS = {"h2": Http2, "h3": Http3}


async def lane(protocol, todo, answers):
    connections = {}
    for at, order in todo:
        port = order["port"]
        try:
            if port not in connections:
                opening = PROTOCOLS[protocol].open(port)
                connections[port] = await asyncio.wait_for(opening, TIME_LIMIT)
            request = connections[port].request(
                order["headers"], order.get("body"), order.get("trailers")
            )
            answers[at] = await asyncio.wait_for(request, TIME_LIMIT)
        except (NoAnswer, OSError, EOFError, asyncio.TimeoutError) as error:
            answers[at] = {"error": f"{type(error).__name__}: {error}"}
            # The next request has a new connection.
            if port in connections:
                await connections.pop(port).close()
    for connection in connections.values():
        await connection.close()


async def send(orders):
    answers = [None] * len(orders)
    lanes = []
    for protocol in PROTOCOLS:
        # An iterator that the lanes of a protocol share.
        todo = iter([(at, order) for at, order in enumerate(orders) if order["protocol"] == protocol])
        lanes += [lane(protocol, todo, answers) for _ in range(LANES)]
    await asyncio.gather(*lanes)
    return answers


for line in sys.stdin:
    print(json.dumps(asyncio.run(send(json.loads(line)))), flush=True)
