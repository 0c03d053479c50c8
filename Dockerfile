# Built with everything, run with what it needs.
FROM node:24-slim AS build
WORKDIR /app
# Dependencies first: they change less often than the source, and this layer is then kept. No install scripts: the one that matters unpacks the embedded database, which is not used here.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:24-slim
WORKDIR /app
ENV NODE_ENV=production
# Owned by root and run by another: the service cannot change its own program.
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY migrations ./migrations
COPY state-machines ./state-machines
# Where the audit log's signer keeps what it signed; a new volume takes its owner from here.
RUN install -d -o node -g node /var/lib/signalbox/audit /var/lib/signalbox/audit-mirror
USER node
EXPOSE 8080
# Live, not ready: a database that is away is no reason to start the service anew.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.HTTP_PORT ?? 8080) + '/health/live').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# node itself, not npm: signals must reach the process that stops in order.
CMD ["node", "dist/cli/main.js", "serve"]
