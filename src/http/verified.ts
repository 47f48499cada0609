/**
 * For the connections to upstreams: their certificates are verified whatever the environment says. `NODE_TLS_REJECT_UNAUTHORIZED=0` is often set for something else, and
 * would hand the credentials of all clients to whoever is in between. A CA of one's own is added with `NODE_EXTRA_CA_CERTS`.
 */
export const VERIFIED = { rejectUnauthorized: true } as const;
