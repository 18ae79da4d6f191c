# The image of the operator, of che-backup as a command and of the backup server in the cluster:
#   docker build --tag quay.io/eclipse/che-backup:0.1.0 .
FROM docker.io/library/node:24-bookworm-slim AS build
WORKDIR /src
RUN corepack enable
COPY . .
RUN pnpm install --frozen-lockfile \
 && pnpm build \
 && pnpm --filter @restic-engine/cli deploy --prod --legacy /app

FROM docker.io/library/node:24-bookworm-slim
# pg_dump and psql, for databases outside of the cluster.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends postgresql-client \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /app /app
RUN ln -s /app/bin/che-backup.js /usr/local/bin/che-backup \
 && ln -s /app/bin/restic-engine.js /usr/local/bin/restic-engine
ENV NODE_ENV=production NODE_DISABLE_COMPILE_CACHE=1 HOME=/tmp
# Any user will do, as OpenShift picks one.
USER 1000:0
ENTRYPOINT ["che-backup"]
