import { createHash } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { TensorpressError } from '../../errors.js';
import { diskError } from '../../formats/files.js';
import { isCount } from '../../formats/records.js';
import { INDEX_FILE, locateSafetensors, SINGLE_FILE } from '../../formats/safetensors/locate.js';
import { isCompanion } from './companions.js';
import { userCache } from './user-cache.js';
import { downloadFile, type RemoteFile } from './download.js';
import { hubRequest, stopped, type Fetch } from './hub-request.js';

export interface DownloadProgress {
  readonly file: string;
  /** Of this file, done and in all. */
  readonly bytes: number;
  readonly total: number;
}

export interface ResolveOptions {
  /** Default: the global one. */
  readonly fetch?: Fetch;
  /** Default: `tensorpress/models` in XDG_CACHE_HOME, which is ~/.cache unless set. */
  readonly cacheDir?: string;
  /** HF_TOKEN, HF_ENDPOINT, XDG_CACHE_HOME. Default: process.env. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** A sentence for the user that is no error. */
  readonly onNote?: (sentence: string) => void;
  /** Waits before it tries again. Default: a timer. */
  readonly wait?: (milliseconds: number) => Promise<void>;
}

export interface ResolvedModel {
  readonly folder: string;
  /** The folder's name, or `org/name`. */
  readonly name: string;
  /** Of a downloaded model. */
  readonly commit?: string;
}

const COMMIT = /^[0-9a-f]{40}$/;

/**
 * The folder of a model: a folder as it is, never touching the network; `org/name[@revision]` from the Hugging Face hub, downloaded into the
 * cache unless it is there. A revision is a branch, a tag or a commit; only a commit is used without asking the hub what it is now.
 * @throws TensorpressError MODEL when the hub has no such model or shows it to nobody, NETWORK when it cannot be reached, DISK, INTERRUPTED
 */
export async function resolveModel(spec: string, options: ResolveOptions = {}): Promise<ResolvedModel> {
  const path = resolve(spec.startsWith('~/') || spec === '~' ? join(homedir(), spec.slice(1)) : spec);
  const wanted = hubSpec(spec);
  if (wanted === undefined || (await exists(path))) return { folder: path, name: basename(path) };

  const { repo, revision } = wanted;
  const { env = process.env, onNote } = options;
  const cache = resolve(options.cacheDir ?? join(userCache(env), 'models'));
  const home = join(cache, repo.replace('/', '--'));
  const ref = join(home, 'refs', encodeURIComponent(revision));
  const cached = (commit: string): ResolvedModel => ({ folder: join(home, commit), name: repo, commit });

  if (COMMIT.test(revision) && (await exists(join(home, revision)))) return cached(revision);
  const hub = await connect(repo, revision, options);
  let commit: string;
  try {
    commit = await hub.commit();
  } catch (error) {
    const last = (await fs.readFile(ref, 'utf8').catch(() => '')).trim();
    const unreachable = error instanceof TensorpressError && error.code === 'NETWORK';
    if (!unreachable || !COMMIT.test(last) || !(await exists(join(home, last)))) throw error;
    onNote?.(`the hub cannot be reached; ${repo} is taken from the cache, as it was at ${last.slice(0, 8)}`);
    return cached(last);
  }
  try {
    if (!(await exists(join(home, commit)))) await fetchRevision(hub, commit, home, options);
    await fs.mkdir(join(home, 'refs'), { recursive: true });
    await fs.writeFile(ref, commit);
  } catch (error) {
    throw error instanceof TensorpressError ? error : diskError(error, home);
  }
  return cached(commit);
}

/** `org/name[@revision]`, undefined for everything that looks like a path. */
function hubSpec(spec: string): { repo: string; revision: string } | undefined {
  const match = /^([\w-][\w.-]*\/[\w-][\w.-]*)(?:@(\w[^\s\\]*))?$/.exec(spec);
  return match === null ? undefined : { repo: match[1]!, revision: match[2] ?? 'main' };
}

interface Hub {
  readonly repo: string;
  /** The commit that the revision stands for now. */
  commit(): Promise<string>;
  /** Files at the top of the repository. */
  files(commit: string): Promise<RemoteFile[]>;
  readonly get: (url: string, headers: Readonly<Record<string, string>>) => Promise<Response>;
}

async function connect(
  repo: string,
  revision: string,
  { fetch = globalThis.fetch, env = process.env, signal }: ResolveOptions,
): Promise<Hub> {
  const { HUB_URL, listFiles, modelInfo } = await import('@huggingface/hub'); // slow to load, and seldom needed
  const endpoint = (env['HF_ENDPOINT'] || HUB_URL).replace(/\/+$/, '');
  const token = env['HF_TOKEN'];
  const request = hubRequest({ fetch, endpoint, repo, revision, ...(token && { token }), ...(signal && { signal }) });
  const common = { hubUrl: endpoint, fetch: request };
  /** Asks the library, whose own complaints are about answers that it cannot read. */
  const ask = async <T>(question: () => Promise<T>): Promise<T> => {
    try {
      return await question();
    } catch (error) {
      if (signal?.aborted) throw stopped(repo);
      if (error instanceof TensorpressError) throw error;
      throw new TensorpressError('NETWORK', `${endpoint} does not answer like a model hub`, {
        hint: env['HF_ENDPOINT'] ? 'check HF_ENDPOINT' : 'check whether a proxy or a login page stands in between',
        cause: error,
      });
    }
  };
  return {
    repo,
    commit: () =>
      ask(async () => {
        const { sha } = await modelInfo({ name: repo, revision, additionalFields: ['sha'], ...common });
        if (!COMMIT.test(sha)) throw new TypeError('no commit');
        return sha;
      }),
    files: commit =>
      ask(async () => {
        const files: RemoteFile[] = [];
        for await (const entry of listFiles({ repo: { type: 'model', name: repo }, revision: commit, ...common })) {
          const { type, path, size, oid, lfs } = entry;
          if (type !== 'file' || path.includes('/')) continue;
          const bytes = lfs?.size ?? size;
          if (!isCount(bytes)) throw new TypeError(`no size for ${path}`);
          const url = `${endpoint}/${repo}/resolve/${commit}/${encodeURIComponent(path)}`;
          files.push({ name: path, url, bytes, ...hashOf(bytes, oid, lfs?.oid) });
        }
        return files;
      }),
    get: (url, headers) => request(url, { headers }),
  };
}

/** Large files are known by their SHA-256, small ones by git's hash of a blob. */
function hashOf(bytes: number, oid: string | undefined, sha256: string | undefined): Pick<RemoteFile, 'hash'> {
  if (sha256 !== undefined && /^[0-9a-f]{64}$/.test(sha256)) {
    return { hash: { expected: sha256, start: () => createHash('sha256') } };
  }
  if (sha256 === undefined && oid !== undefined && COMMIT.test(oid)) {
    return { hash: { expected: oid, start: () => createHash('sha1').update(`blob ${bytes}\0`) } };
  }
  return {};
}

/** Downloads what a model folder needs into `<commit>.partial`, which gets its name when all of it is there. */
async function fetchRevision(hub: Hub, commit: string, home: string, options: ResolveOptions): Promise<void> {
  const partial = join(home, `${commit}.partial`);
  const files = new Map((await hub.files(commit)).map(file => [file.name, file]));
  checkUsable(hub.repo, files);
  await fs.mkdir(partial, { recursive: true });
  const get = async (name: string) => {
    const file = files.get(name);
    if (file === undefined) {
      throw new TensorpressError(
        'MODEL',
        `the index of ${hub.repo} lists ${name}, which the repository does not hold`,
        {
          hint: 'another revision of the model may be complete',
        },
      );
    }
    await downloadFile(file, join(partial, name), { ...options, get: hub.get });
  };

  const single = files.has(SINGLE_FILE);
  for (const name of ['config.json', ...[...files.keys()].filter(isCompanion), ...(single ? [] : [INDEX_FILE])])
    await get(name);
  const weights = single ? [SINGLE_FILE] : (await locateSafetensors(partial, fs)).files;
  for (const name of weights) await get(name);
  await fs.rename(partial, join(home, commit)).catch(async (error: unknown) => {
    if (!(await exists(join(home, commit)))) throw error; // else another process was faster
  });
}

function checkUsable(repo: string, files: ReadonlyMap<string, RemoteFile>): void {
  const names = [...files.keys()];
  const has = (pattern: RegExp) => names.some(name => pattern.test(name));
  if (!files.has('config.json')) {
    throw new TensorpressError('MODEL', `${repo} holds no config.json`, {
      hint: has(/^adapter_config\.json$/)
        ? 'it is an adapter: merge it into its base model, and give the folder of the merged model'
        : has(/\.gguf$/)
          ? 'it holds GGUF files: take the model that they were made from'
          : 'it is no model in the format of transformers',
    });
  }
  if (!files.has(SINGLE_FILE) && !files.has(INDEX_FILE)) {
    throw new TensorpressError('MODEL', `${repo} holds no safetensors`, {
      hint: has(/\.(bin|pt|pth)$/)
        ? 'it holds weights as Python pickles only: save it with save_pretrained of transformers, which writes safetensors'
        : 'look for a version of the model that transformers can load',
    });
  }
}

async function exists(path: string): Promise<boolean> {
  return await fs.stat(path).then(
    () => true,
    () => false,
  );
}
