/** Whether a host is this one, as settings or the `hostname` of a URL write it: nobody listens between. */
export const isLoopback = (host: string): boolean => ["127.0.0.1", "::1", "[::1]", "localhost"].includes(host);

/** Whether what goes to this address is heard by nobody else: https://, or http:// on loopback. */
export function isProtected(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return protocol === "https:" || (protocol === "http:" && isLoopback(hostname));
}
