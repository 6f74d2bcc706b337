#!/usr/bin/python3
"""Serves a folder over HTTP for run.sh: http.server with ranges, and with a connection that breaks on demand.

usage: serve.py FOLDER CUT   prints its port. While the file CUT exists, a tarball ends in its middle.
"""
import functools
import http.server
import os
import re
import sys

CUT = sys.argv[2]


class Handler(http.server.SimpleHTTPRequestHandler):
    def send_head(self):
        path = self.translate_path(self.path)
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not asked or not os.path.isfile(path):
            return super().send_head()
        # If-Range is taken for granted: nothing is changed here while it is fetched.
        size, begin = os.path.getsize(path), int(asked[1])
        if begin >= size:
            self.send_error(416)
            return None
        file = open(path, "rb")
        file.seek(begin)
        self.send_response(206)
        self.send_header("Content-Length", str(size - begin))
        self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        self.send_header("Last-Modified", self.date_time_string(os.path.getmtime(path)))
        self.end_headers()
        return file

    def copyfile(self, source, outputfile):
        if not (os.path.exists(CUT) and ".tar" in self.path):
            return super().copyfile(source, outputfile)
        outputfile.write(source.read(os.fstat(source.fileno()).st_size // 2))
        self.close_connection = True


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=sys.argv[1]))
print(server.server_port, flush=True)
server.serve_forever()
