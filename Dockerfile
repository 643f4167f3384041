# Three images of one file: docker build --target engine|registry|airflow. docs/containers.md tells of them.
FROM ghcr.io/astral-sh/uv:0.13.9 AS uv

FROM python:3.11.15-slim-bookworm AS python
# Volumes take the owner of the folder that they are mounted on.
RUN useradd --uid 1000 --create-home embercast \
    && install -d -o embercast -g embercast -m 0700 /var/lib/embercast /var/lib/airflow
# Files of a cache mount can't be linked into a layer. Compiling imports is half of a cold start.
ENV UV_CACHE_DIR=/var/cache/uv UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never PYTHONUNBUFFERED=1


# MLflow's server: no torch, no Java.
FROM python AS registry
RUN --mount=from=uv,source=/uv,target=/bin/uv --mount=type=cache,target=/var/cache/uv \
    --mount=type=bind,source=pyproject.toml,target=/build/pyproject.toml \
    --mount=type=bind,source=uv.lock,target=/build/uv.lock \
    UV_PROJECT_ENVIRONMENT=/opt/registry uv sync --project /build --locked --only-group registry
ENV PATH=/opt/registry/bin:$PATH
USER embercast
WORKDIR /var/lib/embercast


# Spark's master, workers and drivers.
FROM python AS engine
RUN apt-get update && apt-get install --yes --no-install-recommends openjdk-17-jre-headless \
    && rm -rf /var/lib/apt/lists/*
ENV SPARK_HOME=/opt/engine/lib/python3.11/site-packages/pyspark SPARK_CONF_DIR=/opt/spark \
    PYSPARK_PYTHON=/opt/engine/bin/python PYTHONPATH=/opt/embercast EMBERCAST_CACHE=/var/lib/embercast EMBERCAST_JARS=s3
ENV PATH=/opt/embercast/bin:/opt/engine/bin:$PATH

# What is locked changes seldom: it has a layer of its own. torch comes from its own index, which has one without CUDA.
ARG TORCH=cpu
RUN --mount=from=uv,source=/uv,target=/bin/uv --mount=type=cache,target=/var/cache/uv \
    --mount=type=bind,source=pyproject.toml,target=/build/pyproject.toml \
    --mount=type=bind,source=uv.lock,target=/build/uv.lock \
    uv venv /opt/engine && cd /tmp \
    && locked="uv export --quiet --project /build --locked --no-default-groups --extra s3 --no-emit-project" \
    && $locked --prune torch --output-file others.txt && $locked --no-hashes --output-file all.txt \
    && uv pip install --python /opt/engine --torch-backend "$TORCH" "$(sed -n 's/^\(torch==[^ ;]*\).*/\1/p' all.txt)" \
    && uv pip install --python /opt/engine --no-deps --requirements others.txt \
    && rm others.txt all.txt

# A folder that holds nothing else: Airflow's Python reads it, too.
COPY pyproject.toml README.md LICENSE CHANGELOG.md /build/
COPY engine /build/engine
COPY udfs /build/udfs
COPY jobs /build/jobs
RUN --mount=from=uv,source=/uv,target=/bin/uv --mount=type=cache,target=/var/cache/uv \
    uv pip install --python /opt/engine --no-deps --target /opt/embercast /build

# Every session finds the jars and the bucket's server in spark-defaults.conf. A later image brings jars of its own.
COPY conf /opt/embercast/conf
RUN --mount=type=cache,target=/var/cache/embercast,mode=0700 \
    cd /opt/embercast && EMBERCAST_CACHE=/var/cache/embercast python -m jobs.jars >/tmp/jars \
    && for jar in $(tr , ' ' </tmp/jars); do install -D -m 0644 "$jar" "/opt/jars/${jar#/var/cache/embercast/jars/}"; done \
    && ln -s /opt/jars /var/lib/embercast/jars && rm /tmp/jars && mkdir /opt/spark \
    && cat conf/spark/standalone.conf conf/spark/containers.conf >/opt/spark/spark-defaults.conf \
    && echo "spark.jars $(find /opt/jars -name '*.jar' | paste -sd, -)" >>/opt/spark/spark-defaults.conf
USER embercast
WORKDIR /opt/embercast


# Airflow beside the engine, each in an environment of its own: the drivers of its tasks run here.
FROM engine AS airflow
USER root
RUN --mount=from=uv,source=/uv,target=/bin/uv --mount=type=cache,target=/var/cache/uv \
    --mount=type=bind,source=conf/airflow,target=/build/airflow \
    UV_PROJECT_ENVIRONMENT=/opt/airflow uv sync --project /build/airflow --locked --group postgres
ENV PATH=/opt/airflow/bin:$PATH AIRFLOW_HOME=/var/lib/airflow
USER embercast
