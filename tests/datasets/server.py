"""A web server on this machine that may break off, refuse, or lie."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What the server does, and what it was asked."""

    files: dict[str, bytes]
    base: str = ""
    # Bytes after which each answer breaks off, one after the other; then none does.
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    says_length: bool = True
    asked: list[str | None] = field(default_factory=list)


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """The site, at ``site.base``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            site.asked.append(wanted)
            content = site.files.get(self.path.lstrip("/"))
            if content is None:
                self.send_error(404)
                return
            first = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and site.ranges else 0
            if first and first >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if first else 200)
            if first:
                last, total = len(content) - 1, len(content)
                self.send_header("Content-Range", f"bytes {first}-{last}/{total}")
            if site.says_length:
                self.send_header("Content-Length", str(len(content) - first))
            self.end_headers()
            end = site.cuts.pop(0) if site.cuts else len(content)
            self.wfile.write(content[first : first + end])

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.base = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
