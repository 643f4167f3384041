"""What Spark's Hadoop configuration says of the buckets that rows may name. Runs on the driver.

Python workers see no JVM. So what s3a is told on the driver (``spark.hadoop.fs.s3a.…``, core-site.xml, a Hadoop
credential provider; a bucket's own ``fs.s3a.bucket.NAME.…`` first) travels with the scorer's description, as Spark's
own configuration does, for the buckets among the roots alone. A definition holds none of it, and ``repr`` shows no key.
Settings by their names in Hadoop's "Hadoop-AWS module: Integration with Amazon Web Services".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from engine.audio.roots import roots_of
from engine.audio.storage import Bucket, Storage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: A setting's name → its value, None where it has none.
Get: TypeAlias = Callable[[str], str | None]


def storage_of(spark: SparkSession, roots: Sequence[str]) -> Storage:
    """How the buckets among these roots are reached. On Spark Connect, which shows no JVM, by AWS's default chain."""
    names = sorted({one.authority for one in roots_of(tuple(roots)).locations if one.scheme == "s3"})
    made = getattr(spark, "_jsparkSession", None)
    if not names or made is None:
        return Storage()
    settings = made.sessionState().newHadoopConf()
    return Storage(tuple(bucket_of(name, settings.get, _secrets(settings)) for name in names))


def bucket_of(name: str, get: Get, secret: Get) -> Bucket:
    """How a bucket is reached by Hadoop's settings; ``secret`` looks into credential providers too."""

    def own(look: Get, setting: str) -> str | None:
        value = look(f"fs.s3a.bucket.{name}.{setting}") or look(f"fs.s3a.{setting}")
        return (value or "").strip() or None

    providers = (own(get, "aws.credentials.provider") or "").split(",")
    nameless = ["AnonymousAWSCredentialsProvider" in one for one in providers]
    access_key = own(secret, "access.key")
    # A public bucket's provider goes over the keys of the others; where it stands behind providers of keys, keys do.
    anonymous = all(nameless) or (any(nameless) and access_key is None)
    return Bucket(
        name=name,
        endpoint=own(get, "endpoint"),
        region=own(get, "endpoint.region"),
        access_key=None if anonymous else access_key,
        secret_key=None if anonymous else own(secret, "secret.key"),
        session_token=None if anonymous else own(secret, "session.token"),
        anonymous=anonymous,
        path_style=own(get, "path.style.access") == "true",
        secure=own(get, "connection.ssl.enabled") != "false",
    )


def _secrets(settings: Any) -> Get:
    def secret(name: str) -> str | None:
        found = settings.getPassword(name)
        return None if found is None else "".join(found)

    return secret
