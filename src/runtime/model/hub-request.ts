import { TensorpressError } from '../../errors.js';

export type Fetch = typeof globalThis.fetch;

export interface HubRequest {
  readonly fetch: Fetch;
  readonly endpoint: string;
  readonly token?: string;
  readonly signal?: AbortSignal;
  /** For messages. */
  readonly repo: string;
  readonly revision: string;
}

/**
 * A fetch that sends the token to the endpoint and to no other host, and turns every failure into a sentence. A range that the server cannot
 * satisfy (416) is an answer, not a failure.
 */
export function hubRequest(hub: HubRequest): Fetch {
  const { fetch, endpoint, token, signal } = hub;
  return async (url, init) => {
    const headers = new Headers(init?.headers);
    // compressed bodies would make ranges and sizes mean something else
    headers.set('Accept-Encoding', 'identity');
    const target = url instanceof Request ? url.url : String(url);
    if (token && originOf(target) === originOf(endpoint)) headers.set('Authorization', `Bearer ${token}`);
    let response: Response;
    try {
      response = await fetch(url, { ...init, headers, ...(signal && { signal }) });
    } catch (error) {
      throw connectionError(error, hub);
    }
    if (response.ok || response.status === 416) return response;
    await response.body?.cancel().catch(() => {});
    throw statusError(response, hub);
  };
}

/** A request or a body that broke off, or a stop by the user. */
function connectionError(
  error: unknown,
  { endpoint, repo, signal }: Pick<HubRequest, 'endpoint' | 'repo' | 'signal'>,
): TensorpressError {
  if (signal?.aborted) return stopped(repo);
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const why = cause instanceof Error ? ('code' in cause ? String(cause.code) : cause.message) : String(cause);
  return new TensorpressError('NETWORK', `${endpoint} cannot be reached (${why})`, {
    hint: `check the network; ${repo} is no folder here, so it was looked for on the hub`,
    cause: error,
  });
}

/** The error for a download that its signal has ended. */
export function stopped(what: string): TensorpressError {
  return new TensorpressError('INTERRUPTED', `the download of ${what} was stopped`, {
    hint: 'run the same command again: it continues where it stopped',
  });
}

function statusError({ status, headers }: Response, { endpoint, token, repo, revision }: HubRequest): TensorpressError {
  const code = headers.get('X-Error-Code');
  const gated = status === 403 || (status === 401 && code === 'GatedRepo');
  switch (gated ? 403 : status) {
    case 401:
      return new TensorpressError(
        'MODEL',
        `the hub gives no access to ${repo}, and there is no folder of this name here`,
        {
          hint: token
            ? 'check the spelling, and whether the token in HF_TOKEN is still valid'
            : 'check the spelling; for a private or gated model set HF_TOKEN',
        },
      );
    case 403:
      return new TensorpressError('MODEL', `${repo} is gated`, {
        hint: `accept its terms on ${endpoint}/${repo}${token ? ' with the account that HF_TOKEN belongs to' : ', then set HF_TOKEN'}`,
      });
    case 404:
      return code === 'RevisionNotFound'
        ? new TensorpressError('MODEL', `${repo} has no revision ${revision}`, {
            hint: 'a revision is a branch, a tag or a full commit hash',
          })
        : new TensorpressError('MODEL', `there is no model ${repo} on the hub, and no folder of this name here`, {
            hint: 'check the spelling',
          });
    case 429:
      return new TensorpressError('NETWORK', `${endpoint} refuses more requests for now`, {
        hint: token ? 'wait some minutes' : 'wait some minutes, or set HF_TOKEN',
      });
    default:
      return new TensorpressError('NETWORK', `${endpoint} answers with status ${status}`, { hint: 'try again later' });
  }
}

function originOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).origin : undefined;
}
