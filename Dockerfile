# relay as an image: docker build -t relay .
#
# Base image by tag, not by digest: a rebuild then has this week's fixes of Debian and Python without a commit, and no
# digest grows old unnoticed. What is put on top of it is locked with hashes. Whoever must run exactly these bytes
# deploys the built image by digest (chart value image.digest).
#
# 3.13 rather than the newest: every locked package has a binary wheel for it, so no compiler is needed here.

FROM python:3.13-slim AS builder

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /src

# Dependencies first: this layer is only built again when the lock changes. No pip inside of the environment: it comes
# from outside (--python), so that the image has one thing less to attack.
COPY requirements.lock ./
RUN python -m venv --without-pip /opt/relay \
    && pip --python /opt/relay/bin/python install --require-hashes --only-binary :all: --no-compile \
        --requirement requirements.lock

# The build backend goes into the builder's own Python and is not copied. --no-deps: nothing that the lock does not
# name. Byte code is made here because the running container may write nothing, and unchecked, because file times need
# not survive the copy into the next stage.
COPY requirements-build.lock pyproject.toml README.md LICENSE ./
COPY relay relay/
RUN pip install --require-hashes --requirement requirements-build.lock \
    && pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && pip --python /opt/relay/bin/python install --no-deps --no-index --no-compile /wheels/*.whl \
    && /opt/relay/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/relay/lib


FROM python:3.13-slim

LABEL org.opencontainers.image.title="relay" \
      org.opencontainers.image.description="Inbound mail webhooks in, WebSocket messages out" \
      org.opencontainers.image.version="0.2.0"

COPY --from=builder /opt/relay /opt/relay

# The service's default host is 127.0.0.1, which nobody outside of a container could reach.
ENV PATH="/opt/relay/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RELAY_HOST=0.0.0.0

# A number, not a name: Kubernetes' runAsNonRoot cannot judge names.
USER 10001:10001

EXPOSE 8000

STOPSIGNAL SIGTERM

# For Docker and Compose; Kubernetes ignores it and has the probes of the chart.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 CMD ["relay", "check"]

ENTRYPOINT ["relay"]
CMD ["serve"]
