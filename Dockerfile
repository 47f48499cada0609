# Both bases are pinned to the digest of their multi-platform index; the tag before it is for people (and for update bots) and is ignored by builders.
# To move to others:  docker buildx imagetools inspect <image>:<tag>  prints the digest. Node's version is the one of the `node` package that the tests run on.
ARG NODE_IMAGE=docker.io/library/node:26.10.0-trixie-slim@sha256:ec7758ee051e457b468b32bde57b0879010b325bb9862718e9615225ce4aaae1
# glibc, libstdc++ and CA certificates, without shell, package manager or npm. It has Debian's glibc, on which Node's official binary runs unchanged.
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian13:nonroot@sha256:e792ab3d241a468a4fd7519ddbbebe66b49b5f365771716ea688ad40b6c6f1c2

FROM ${NODE_IMAGE} AS build
ENV NODE_ENV=production
WORKDIR /app
COPY package.json package-lock.json LICENSE ./
# A mirror of the npm registry, where one is needed:  --secret id=npmrc,src=$HOME/.npmrc
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc \
	npm ci --omit=dev --ignore-scripts --no-audit --no-fund --cache /tmp/npm && rm -rf /tmp/npm
COPY src ./src
COPY plugins ./plugins
COPY deploy/build.ts ./deploy/
COPY deploy/healthcheck.ts ./
# A few files in place of a thousand modules. Of the packages in them, licences stay, and what scanners look for.
RUN node deploy/build.ts && rm -r src plugins deploy node_modules/esbuild node_modules/@esbuild \
	&& find node_modules -type f ! -name package.json ! -iname 'licen[cs]e*' ! -iname 'notice*' ! -iname 'copying*' -delete \
	&& find node_modules -type l -delete && find node_modules -type d -empty -delete
# Node needs it since version 25, and the runtime image has none.
RUN cp -L /usr/lib/*-linux-gnu/libatomic.so.1 /
# Compiled code for V8, so that a start takes a third less processor time. Node looks it up under the id of the user, so it is made by the one who will run;
# another user (or a newer Node) runs without it. The request for a token goes nowhere, but loads what only requests load.
USER 65532:65532
RUN NODE_COMPILE_CACHE=/tmp/compile-cache API_URL=http://127.0.0.1:1 REGISTRY_URL=http://127.0.0.1:1 node --input-type=module --eval \
		"const { buildApp } = await import('/app/dist/app.mjs'); const { parseConfig } = await import('/app/dist/config.mjs'); \
		const app = await buildApp(parseConfig(process.env)); \
		await app.inject('/ping'); await app.inject('/auth/v1/token?scope=repository:org/fleet:pull'); await app.close();" \
	&& chmod -R a+rX /tmp/compile-cache

FROM ${RUNTIME_IMAGE}
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="open-balena-registry-proxy" \
	org.opencontainers.image.description="Pull container images of balena fleets by name" \
	org.opencontainers.image.licenses="Apache-2.0" \
	org.opencontainers.image.version="${VERSION}" \
	org.opencontainers.image.revision="${REVISION}"
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /libatomic.so.1 /usr/lib/
COPY --from=build --chown=0:0 /tmp/compile-cache /app/compile-cache
COPY --from=build --chown=0:0 /app /app
WORKDIR /app
ENV NODE_ENV=production NODE_COMPILE_CACHE=/app/compile-cache
# By number, so that Kubernetes can tell that it is not root.
USER 65532:65532
EXPOSE 80
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/usr/local/bin/node", "healthcheck.ts"]
# Node itself is process 1: it handles SIGTERM, and starts no other processes that would have to be reaped.
ENTRYPOINT ["/usr/local/bin/node"]
CMD ["dist/server.mjs"]
