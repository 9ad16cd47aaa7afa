# The same major version of Node as the dev dependency `node` in package.json.
FROM node:26-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# Production dependencies only, and no embedded PostgreSQL, which is the optional one: a container is given DATABASE_URL.
RUN npm ci --omit=dev --omit=optional

FROM node:26-slim
# MALLOC_ARENA_MAX: the C library would keep an area of memory for each thread, and freed blocks in all of them.
ENV NODE_ENV=production GRPC_HOST=0.0.0.0 NODE_COMPILE_CACHE=/app/node_modules/.cache/identity MALLOC_ARENA_MAX=1
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
# Everybody may read them, whatever their modes were: a folder that a tool has made for its user alone would be closed to `node`.
COPY --chmod=755 package.json ./
COPY --chmod=755 migrations migrations
COPY --chmod=755 templates templates
COPY --chmod=755 src src
# Where the service keeps its compiled code, and mails while there is no SMTP_URL.
RUN mkdir -p node_modules/.cache .data && chown node node_modules/.cache .data
USER node
# A start that finds no database. What it has compiled is kept, so that no container has to do that: 0.2 s and 40 MB each. One that ends before
# it asks for the database would have compiled less: then there is no image.
RUN GRPC_HOST=127.0.0.1 DATABASE_URL=postgresql://127.0.0.1:1/none JWT_SECRET_KEY=for-a-start-that-leads-nowhere-at-all \
    node --max-semi-space-size=4 --heap-growing-percent=40 --no-parallel-scavenge src/main.ts 2>&1 | grep 'database .* cannot be used'
EXPOSE 50051
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["node", "src/commands/healthcheck.ts"]
# What `npm start` runs, without npm in between: signals reach the service itself.
CMD ["node", "--max-semi-space-size=4", "--heap-growing-percent=40", "--no-parallel-scavenge", "src/main.ts"]
