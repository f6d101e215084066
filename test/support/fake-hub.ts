import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeHub {
  readonly endpoint: string;
  /** `GET /path [range]` of every request. */
  readonly requests: string[];
  /** Authorization headers that came. */
  readonly tokens: Set<string | undefined>;
  /** Set to answer a request in another way; returns whether it did. */
  intercept?: ((request: IncomingMessage, response: ServerResponse, path: string) => boolean) | undefined;
  close(): Promise<void>;
}

/** A model hub on this machine that holds one revision of `org/foo`. Large files are listed with SHA-256, small ones with git's hash. */
export async function fakeHub(files: Readonly<Record<string, Buffer>>, commit: string): Promise<FakeHub> {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url!, 'http://hub').pathname);
    const range = /^bytes=(\d+)-/.exec(request.headers.range ?? '');
    hub.requests.push(`${request.method} ${path}${range ? ` ${range[1]}-` : ''}`);
    hub.tokens.add(request.headers.authorization);
    if (hub.intercept?.(request, response, path)) return;
    if (/^\/api\/models\/org\/foo\/revision\/(main|v1|[0-9a-f]{40})$/.test(path))
      return json(response, { _id: '1', id: 'org/foo', sha: commit });
    if (path === `/api/models/org/foo/tree/${commit}`) return json(response, Object.entries(files).map(listed));
    const file = files[path.replace(`/org/foo/resolve/${commit}/`, '')];
    if (file === undefined) return void response.writeHead(404, { 'X-Error-Code': 'RepoNotFound' }).end();
    const from = range ? Number(range[1]) : 0;
    response.writeHead(range ? 206 : 200, {
      'Content-Length': file.length - from,
      ...(range ? { 'Content-Range': `bytes ${from}-${file.length - 1}/${file.length}` } : {}),
    });
    response.end(file.subarray(from));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const hub: FakeHub = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    tokens: new Set(),
    close: () =>
      new Promise(resolve => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return hub;
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
}

function listed([path, bytes]: [string, Buffer]) {
  const sha1 = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const lfs = { oid: sha256, size: bytes.length, pointerSize: 130 };
  return { type: 'file', path, size: bytes.length, oid: sha1, ...(path.endsWith('.safetensors') ? { lfs } : {}) };
}
