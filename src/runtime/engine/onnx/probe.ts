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

export type Gpu = Exclude<OnnxDevice, 'cpu'>;

const WHY: Readonly<Record<Gpu, string>> = {
  cuda: 'the CUDA provider is not installed, or finds no GPU',
  webgpu: 'no GPU with a driver for Vulkan, Metal or Direct3D 12 was found',
};

const SOFTWARE = 'a software GPU';
const SECONDS = 20;
/** Stands before what the child process found. */
const ANSWER = 'answer: ';
/** How the names of GPUs begin below /dev. */
const GPU_FILES = 'dri|nvidia|kfd|dxg|mali|kgsl';

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
    () => say({ open: files().filter(name => /^\\/dev\\/(${GPU_FILES})/.test(name)) }),
    error => say({ open: [], error: String(error.message) }),
  );
`;

/**
 * The devices that onnxruntime computes on here, best first. GPUs are tried in processes of their own, because drivers may crash; nothing is
 * printed.
 */
export async function probeOnnx(): Promise<OnnxDeviceFinding[]> {
  const name = `onnxruntime ${onnxruntimeVersion()}`;
  const [cuda, webgpu, gpu] = await Promise.all([askDevice('cuda'), askDevice('webgpu'), gpuName()]);
  const software = process.platform === 'linux' && webgpu.error === undefined && webgpu.open.length === 0;
  return [
    finding('cuda', name, cuda, gpu),
    finding('webgpu', name, webgpu, software ? SOFTWARE : gpu),
    { device: 'cpu', available: true, software: false, description: `${name} on cpu` },
  ];
}

function finding(device: Gpu, name: string, { error }: Answer, gpu: string): OnnxDeviceFinding {
  const description = `${name} on ${device}`;
  if (error === undefined)
    return { device, available: true, software: gpu === SOFTWARE, description: `${description} (${gpu})` };
  return { device, available: false, software: false, description, why: WHY[device], hint: howToGet(device) };
}

/** How to get a device that is missing. */
export function howToGet(device: Gpu): string {
  if (device === 'cuda')
    return `install CUDA 12, cuDNN 9 and the CUDA provider of onnxruntime-node ${onnxruntimeVersion()}`;
  return process.platform === 'linux'
    ? 'install libvulkan1 and the driver of the GPU'
    : 'install the driver of the GPU';
}

/** The first real GPU, else the processor. Where Linux shows no GPU nothing is tried: that would take a process and a second. */
export async function bestDevice(): Promise<OnnxDevice> {
  if (process.platform === 'linux' && !(await hasGpuFiles())) return 'cpu';
  return (await probeOnnx()).find(({ available, software }) => available && !software)!.device;
}

const hasGpuFiles = async () =>
  (await readdir('/dev').catch(() => [])).some(name => new RegExp(`^(${GPU_FILES})`).test(name));

/**
 * Whether a session can be made on a device, tried in a process of its own: what goes wrong there is the answer.
 * @throws Error when the package onnxruntime-node is missing
 */
export function askDevice(device: Gpu): Promise<Answer> {
  const model = Buffer.from(identity(1)).toString('base64');
  const options = {
    env: { ORT_DISABLE_TELEMETRY: '1', ...process.env, NODE_OPTIONS: '' },
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
