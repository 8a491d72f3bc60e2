#!/usr/bin/env python3
"""Puts keys with TTLs through one server, sees them end in a watch of another, prints how late each was.

usage: ttl-lateness.py N HOST:PORT HOST:PORT
A key's time counts from when its put was sent; one that ends before its time is "early".
"""
import http.client
import json
import random
import sys
import threading
import time

WRITERS = 8
TTLS = [1.0, 2.0, 3.0, 5.0]


class Ends:
    """The keys' times, and how far from them they ended."""

    def __init__(self, count):
        self.count = count
        self.due = {}
        self.late = []

    def follow(self, server):
        watch = http.client.HTTPConnection(server, timeout=60)
        watch.request("GET", "/api/v1/watch?prefix=ttl/", headers={"Accept": "application/x-ndjson"})
        answer = watch.getresponse()
        while len(self.late) < self.count:
            change = json.loads(answer.readline())
            if change["type"] == "delete":
                self.late.append(time.monotonic() - self.due[change["key"]])

    def put(self, server, numbers):
        connection = http.client.HTTPConnection(server)
        for number in numbers:
            key, ttl = "ttl/%d" % number, random.choice(TTLS)
            self.due[key] = time.monotonic() + ttl
            path = "/api/v1/kv/%s?ttl=%dms" % (key, ttl * 1000)
            connection.request("PUT", path, body=b"v", headers={"Content-Type": "text/plain"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                sys.exit("PUT %s: %d %s" % (key, answer.status, text))


def main():
    count, writes_to, watches = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    ends = Ends(count)
    watcher = threading.Thread(target=ends.follow, args=(watches,), daemon=True)
    watcher.start()
    time.sleep(0.5)
    writers = [
        threading.Thread(target=ends.put, args=(writes_to, range(i, count, WRITERS)))
        for i in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    watcher.join(60)
    if watcher.is_alive():
        sys.exit("%d of %d keys did not end" % (count - len(ends.late), count))
    late = sorted(ends.late)
    print(
        "%d keys: %d early; late by %.0f ms (median), %.0f (99%%), %.0f (most)"
        % (count, sum(x < 0 for x in late), late[count // 2] * 1e3, late[count * 99 // 100] * 1e3, late[-1] * 1e3)
    )


main()
