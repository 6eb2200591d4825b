"""The templates; what Jinja makes of them, which takes half a second, is kept between starts."""

from __future__ import annotations

import marshal
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from jinja2.bccache import Bucket, BytecodeCache

from brian2eprop.device.cache import cached, text_key
from brian2eprop.errors import CompileError

_OPTIONS: dict[str, Any] = {
    "trim_blocks": True,
    "lstrip_blocks": True,
    "keep_trailing_newline": True,
}


@cache
def environment() -> Any:
    """The templates; a misspelt name in one is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("brian2eprop.device.codegen", "templates"),
        undefined=jinja2.StrictUndefined,
        bytecode_cache=_KeptTemplates(),
        **_OPTIONS,
    )


class _KeptTemplates(BytecodeCache):
    """Python's code for each template, beside compiled networks."""

    def get_bucket(
        self, environment: jinja2.Environment, name: str, filename: str | None, source: str
    ) -> Bucket:
        """A template with its code; without, where the cache cannot be used."""
        makers = jinja2.__version__, sys.version, repr(_OPTIONS)
        bucket = Bucket(environment, name, text_key(source, name, str(filename), *makers))

        def make(_: Path) -> bytes:
            return marshal.dumps(environment.compile(source, name, filename))

        with suppress(CompileError, OSError):
            bucket.code = marshal.loads(cached(bucket.checksum, ".template", make).read_bytes())
        return bucket

    def load_bytecode(self, bucket: Bucket) -> None:
        """Nothing to do: a bucket has its code from the beginning."""

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Nothing to do: what is not kept by now cannot be."""
