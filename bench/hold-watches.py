#!/usr/bin/env python3
"""Opens N event streams that nothing happens on, dealt out to the servers in turn, says "open" and holds them.

usage: hold-watches.py N HOST:PORT[,HOST:PORT]
Exits with 1 when a watch is refused or ends before this program is stopped.
"""
import selectors
import socket
import sys

REQUEST = (
    "GET /api/v1/watch?prefix=nothing-happens/{0} HTTP/1.1\r\n"
    "Host: {1}\r\nAccept: text/event-stream\r\n\r\n"
)


def main():
    count = int(sys.argv[1])
    servers = sys.argv[2].split(",")
    selector = selectors.DefaultSelector()
    for i in range(count):
        server = servers[i % len(servers)]
        host, port = server.rsplit(":", 1)
        watch = socket.create_connection((host, int(port)), timeout=10)
        watch.sendall(REQUEST.format(i, server).encode())
        head = watch.recv(65536)
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            sys.exit("watch %d was refused: %s" % (i, head[:300]))
        watch.setblocking(False)
        selector.register(watch, selectors.EVENT_READ)
    print("open", flush=True)
    while True:
        for key, _ in selector.select():
            if not key.fileobj.recv(65536):
                sys.exit("a watch ended")


main()
