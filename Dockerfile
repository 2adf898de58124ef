# One image for workers, the gateway, Flower and the command line. With `requirements.lock` it has
# the stand-in for S3 as well.
FROM python:3.12-slim AS build
ARG LOCK=requirements-image.lock
WORKDIR /app
COPY ${LOCK} pyproject.toml README.md celeryconfig.py ./
COPY signalbox signalbox
COPY adapters adapters
COPY commands commands
COPY gateway gateway
COPY producers producers
COPY routing routing
COPY testing testing
COPY workers workers
RUN python -m venv /opt/signalbox \
    && /opt/signalbox/bin/pip install --no-cache-dir --require-hashes -r ${LOCK} \
    && /opt/signalbox/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && rm -r /opt/signalbox/lib/python*/site-packages/signalbox/testing \
    && /opt/signalbox/bin/python -m pip uninstall --yes setuptools pip

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 signalbox \
    && install -d -o signalbox /var/lib/signalbox/payloads
COPY --from=build /opt/signalbox /opt/signalbox
ENV PATH="/opt/signalbox/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    SIGNALBOX_PAYLOAD_DIR=/var/lib/signalbox/payloads \
    SIGNALBOX_LOG_FORMAT=json
USER signalbox
WORKDIR /home/signalbox
# SIGTERM begins the worker's soft shutdown: what runs may finish.
STOPSIGNAL SIGTERM
CMD ["signalbox", "worker"]
