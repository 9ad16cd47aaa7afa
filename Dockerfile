# The Node that is tested: the dev dependency `node` in package.json. A test holds both together.
ARG NODE=node:26.9.0-slim

FROM ${NODE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# Production dependencies only, and no embedded PostgreSQL, which is the optional one: a container is given DATABASE_URL.
RUN npm ci --omit=dev --omit=optional

FROM ${NODE}
ENV NODE_ENV=production GRPC_HOST=0.0.0.0 REQUIRE_DATABASE_URL=true
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
# Everybody may read them, whatever their modes were: a folder that a tool has made for its user alone would be closed to `node`.
COPY --chmod=755 package.json ./
COPY --chmod=755 bin bin
COPY --chmod=755 migrations migrations
COPY --chmod=755 templates templates
COPY --chmod=755 src src
# Where the service keeps its compiled code, and mails while there is no SMTP_URL.
RUN mkdir -p node_modules/.cache .data && chown node node_modules/.cache .data
USER node
# A start that finds no database. What it has compiled is kept, so that no container has to do that: 0.2 s and 40 MB each. One that ends before
# it asks for the database would have compiled less: then there is no image.
RUN GRPC_HOST=127.0.0.1 DATABASE_URL=postgresql://127.0.0.1:1/none JWT_SECRET_KEY=for-a-start-that-leads-nowhere-at-all \
    bin/identity 2>&1 | grep 'database .* cannot be used'
EXPOSE 50051
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["bin/identity", "commands/healthcheck"]
# As `npm start` does, without npm in between: signals reach the service itself.
CMD ["bin/identity"]
