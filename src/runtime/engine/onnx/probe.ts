import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { printable } from '../../../formats/printable.js';
import { onnxruntimeVersion, type OnnxDevice } from './runtime.js';
import { identity } from './transfer.js';

export interface OnnxDeviceFinding {
  readonly device: OnnxDevice;
  readonly available: boolean;
  /** A GPU that is none: its driver computes on the processor. Runs only where it is asked for. */
  readonly software: boolean;
  /** For people: `onnxruntime 1.30.0 on webgpu (NVIDIA H100)`. */
  readonly description: string;
  /** Why it is not available. */
  readonly why?: string;
  /** How to get it. */
  readonly hint?: string;
}

/** What the child process found; undefined where it died. */
interface Answer {
  readonly error?: string;
  /** Files of devices that it holds open. */
  readonly open: readonly string[];
}

const SOFTWARE = 'a software GPU';
const SECONDS = 20;
/** Stands before what the child process found. */
const ANSWER = 'answer: ';

/** Makes a session that does nothing, then lists what files of GPUs are open: a driver that computes on the processor opens none. */
const CHILD = `
  const [path, device, model] = process.argv.slice(1);
  const { readdirSync, readlinkSync } = require('node:fs');
  const link = fd => { try { return readlinkSync('/proc/self/fd/' + fd); } catch { return ''; } };
  const files = () => { try { return readdirSync('/proc/self/fd').map(link); } catch { return []; } };
  const say = answer => process.stdout.write('${ANSWER}' + JSON.stringify(answer), () => process.exit(0));
  const ort = require(path);
  ort.env.logLevel = 'fatal';
  ort.InferenceSession.create(Buffer.from(model, 'base64'), { executionProviders: [device], logSeverityLevel: 4 }).then(
    () => say({ open: files().filter(name => /^\\/dev\\/(dri\\/|nvidia|kfd|dxg|mali|kgsl)/.test(name)) }),
    error => say({ open: [], error: String(error.message) }),
  );
`;

/**
 * The devices that onnxruntime computes on here, best first. GPUs are tried in processes of their own, because drivers may crash; nothing is
 * printed.
 */
export async function probeOnnx({ env = process.env }: { env?: NodeJS.ProcessEnv } = {}): Promise<OnnxDeviceFinding[]> {
  const name = `onnxruntime ${onnxruntimeVersion()}`;
  const [cuda, webgpu, gpu] = await Promise.all([askDevice('cuda', env), askDevice('webgpu', env), gpuName()]);
  const software = process.platform === 'linux' && webgpu.error === undefined && webgpu.open.length === 0;
  return [
    finding('cuda', `${name} on cuda`, cuda, gpu, {
      why: 'the CUDA provider is not installed, or finds no GPU',
      hint: `install CUDA 12, cuDNN 9 and the CUDA provider of onnxruntime-node ${onnxruntimeVersion()}`,
    }),
    finding('webgpu', `${name} on webgpu`, webgpu, software ? SOFTWARE : gpu, {
      why: 'no GPU with a driver for Vulkan, Metal or Direct3D 12 was found',
      hint:
        process.platform === 'linux' ? 'install libvulkan1 and the driver of the GPU' : 'install the driver of the GPU',
    }),
    { device: 'cpu', available: true, software: false, description: `${name} on cpu` },
  ];
}

function finding(
  device: OnnxDevice,
  name: string,
  { error }: Answer,
  gpu: string,
  missing: { readonly why: string; readonly hint: string },
): OnnxDeviceFinding {
  if (error !== undefined) return { device, available: false, software: false, description: name, ...missing };
  return { device, available: true, software: gpu === SOFTWARE, description: `${name} (${gpu})` };
}

/**
 * Whether a session can be made on a device, tried in a process of its own: what goes wrong there is the answer.
 * @throws Error when the package onnxruntime-node is missing
 */
export function askDevice(device: OnnxDevice, env: NodeJS.ProcessEnv = process.env): Promise<Answer> {
  const model = Buffer.from(identity(1)).toString('base64');
  const options = {
    env: { ORT_DISABLE_TELEMETRY: '1', ...env, NODE_OPTIONS: '' },
    timeout: SECONDS * 1000,
    windowsHide: true,
  };
  return new Promise<Answer>(resolve => {
    const path = createRequire(import.meta.url).resolve('onnxruntime-node');
    execFile(process.execPath, ['-e', CHILD, path, device, model], options, (error, stdout) => {
      if (error) return resolve({ open: [], error: error.message });
      try {
        // a driver may have said something before
        resolve(JSON.parse(stdout.slice(stdout.lastIndexOf(ANSWER) + ANSWER.length)) as Answer);
      } catch {
        resolve({ open: [], error: `the child process said ${printable(stdout, 200)}` });
      }
    });
  });
}

/** Vendors of GPUs by the number that they have on the PCI bus. */
const VENDORS: Readonly<Record<string, string>> = { '0x10de': 'NVIDIA', '0x1002': 'AMD', '0x8086': 'Intel' };

/** The GPU as Linux knows it, as far as it does. */
async function gpuName(): Promise<string> {
  const nvidia = '/proc/driver/nvidia/gpus';
  for (const bus of await readdir(nvidia).catch(() => [])) {
    const text = await readFile(`${nvidia}/${bus}/information`, 'utf8').catch(() => '');
    const model = /^Model:\s*(.+)$/m.exec(text)?.[1];
    if (model !== undefined) return model;
  }
  const cards = (await readdir('/sys/class/drm').catch(() => [])).filter(card => /^renderD\d+$/.test(card));
  for (const card of cards) {
    const vendor = await readFile(`/sys/class/drm/${card}/device/vendor`, 'utf8').catch(() => '');
    if (vendor.trim() in VENDORS) return `a GPU of ${VENDORS[vendor.trim()]!}`;
  }
  return 'a GPU';
}
