import { statfs, access, constants } from 'node:fs/promises';
import { availableParallelism, cpus, freemem, homedir, totalmem } from 'node:os';
import { existsSync } from 'node:fs';
import { probeOnnx, type OnnxDeviceFinding } from '../runtime/engine/onnx/probe.js';
import { probeTfjs, type DeviceReport } from '../runtime/engine/tfjs/backend.js';
import { toolsOnPath } from './llama-tools.js';
import { EXAMPLE_MODEL } from './prepare.js';
import { formatBytes } from './units.js';

export interface Finding {
  readonly name: string;
  readonly ok: boolean;
  /** Whether every run needs it. */
  readonly needed: boolean;
  readonly found: string;
  /** How to get it, when it is missing. */
  readonly hint?: string;
}

export interface DoctorOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly onnx?: () => Promise<readonly OnnxDeviceFinding[]>;
  readonly tfjs?: () => Promise<readonly DeviceReport[]>;
}

/** What this machine has of what tensorpress uses. */
export async function doctor({
  cwd = process.cwd(),
  env = process.env,
  onnx = probeOnnx,
  tfjs = probeTfjs,
}: DoctorOptions = {}): Promise<Finding[]> {
  const [machine, onnxDevices, tfjsDevices, tools] = await Promise.all([
    machineFindings(cwd, env),
    onnx(),
    tfjs(),
    toolsOnPath(env),
  ]);
  return [
    ...machine,
    ...onnxDevices.map(onnxFinding),
    ...tfjsDevices.map(tfjsFinding),
    optional('engine reference, cpu', true, 'in double precision, slow: what the others are measured against'),
    tools.missing.length === 0
      ? optional('llama.cpp tools', true, tools.found.join(', '))
      : optional(
          'llama.cpp tools',
          false,
          `${tools.found.length === 0 ? 'none' : tools.found.join(', ')} on the PATH; without ${tools.missing.join(', ')}`,
          'install llama.cpp (Debian: llama.cpp-tools, macOS: brew install llama.cpp); nothing needs them yet',
        ),
  ];
}

function optional(name: string, ok: boolean, found: string, hint?: string): Finding {
  return { name, ok, needed: false, found, ...(ok || hint === undefined ? {} : { hint }) };
}

function onnxFinding({ device, available, software, description, why, hint }: OnnxDeviceFinding): Finding {
  const name = `engine onnx, ${device}`;
  if (device === 'cpu') return { name, ok: available, needed: true, found: description };
  const only = software ? `; used where --device ${device} asks for it` : '';
  return optional(name, available, available ? `${description}${only}` : (why ?? description), hint);
}

function tfjsFinding({ device, available, description, hint }: DeviceReport): Finding {
  return optional(`engine tfjs, ${device}`, available, description, hint);
}

async function machineFindings(cwd: string, env: NodeJS.ProcessEnv): Promise<Finding[]> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const supported = (major === 20 && minor >= 19) || (major === 22 && minor >= 13) || major >= 24;
  const { bavail, bsize } = await statfs(cwd);
  const writable = await access(cwd, constants.W_OK).then(
    () => true,
    () => false,
  );
  const token = env['HF_TOKEN'] !== undefined || existsSync(`${homedir()}/.cache/huggingface/token`);
  const findings: Omit<Finding, 'needed'>[] = [
    {
      name: 'Node.js',
      ok: supported,
      found: process.versions.node,
      ...(supported ? {} : { hint: 'install Node.js 20.19, 22.13 or 24 and later' }),
    },
    {
      name: 'processor',
      ok: true,
      found: `${cpus()[0]?.model.trim() ?? process.arch}, ${availableParallelism()} threads`,
    },
    { name: 'memory', ok: true, found: `${formatBytes(freemem())} free of ${formatBytes(totalmem())}` },
    {
      name: 'working folder',
      ok: writable,
      found: `${formatBytes(bavail * bsize)} free, ${writable ? 'writable' : 'not writable'}`,
      ...(writable ? {} : { hint: 'write elsewhere with --out' }),
    },
    {
      name: 'example model',
      ok: existsSync(EXAMPLE_MODEL),
      found: existsSync(EXAMPLE_MODEL) ? 'found' : 'missing',
      ...(existsSync(EXAMPLE_MODEL) ? {} : { hint: 'it comes with the package: install tensorpress again' }),
    },
    {
      name: 'Hugging Face token',
      ok: true,
      found: token ? 'found' : 'none (only gated and private models need one: set HF_TOKEN)',
    },
  ];
  return findings.map(finding => ({ ...finding, needed: true }));
}
