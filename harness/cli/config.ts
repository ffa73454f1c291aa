import { readFileSync, statSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { InputError } from '../protocol/index.js';
import { whyUnreadable } from '../report/files.js';
import { parseJson } from '../runner/expectations.js';
import { didYouMean } from './nearest.js';

/** Every key of a configuration file: the long options of `hapspec run` in camel case, and what each holds. */
export const configKeys = {
  target: 'string',
  code: 'string',
  codeCommand: 'string',
  junit: 'string',
  json: 'string',
  html: 'string',
  summary: 'string',
  sarif: 'string',
  only: 'list',
  skip: 'list',
  level: 'list',
  timeout: 'number',
  seed: 'number',
  strict: 'boolean',
  verbose: 'boolean',
  state: 'string',
  reset: 'string',
  restart: 'string',
  launch: 'string',
  attempts: 'number',
  destructive: 'boolean',
  expectations: 'string',
  evidence: 'string',
  evidenceKeys: 'boolean',
  pcapng: 'string',
  pace: 'number',
  startLine: 'string',
  declares: 'list',
  mfiRoot: 'string',
  cloneOf: 'string',
  old: 'string',
  runs: 'number',
  jobs: 'number',
  shard: 'string',
  time: 'string',
  wait: 'string',
  idle: 'string',
} as const satisfies Record<string, 'string' | 'number' | 'boolean' | 'list'>;

export type ConfigKey = keyof typeof configKeys;

interface ValueOf {
  readonly string: string;
  readonly number: number;
  readonly boolean: boolean;
  readonly list: readonly string[];
}

/**
 * Options as a configuration file in any folder has them: numbers are such, and paths are absolute. What should be a number
 * and is none stays an argument.
 */
export function asConfig(flags: object): { config: Record<string, unknown>; args: readonly string[] } {
  const config: Record<string, unknown> = {};
  const args: string[] = [];
  for (const [key, value] of Object.entries(flags) as [string, string | undefined][]) {
    if (value === undefined) continue;
    if (!isKey(key) || !(paths.has(key) || configKeys[key] === 'number')) config[key] = value;
    else if (paths.has(key)) config[key] = resolve(value);
    else if (value !== '' && Number.isFinite(Number(value))) config[key] = Number(value);
    else args.push(`--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`, value);
  }
  return { config, args };
}

/** What a configuration file says. */
export type ConfigValues = { readonly [K in ConfigKey]?: ValueOf[(typeof configKeys)[K]] };

/** One accessory of several: what its own entry in `targets` says over the rest of the file. */
export interface Member {
  /** Names its reports: letters, digits, dots, dashes and underscores; no two have the same. */
  readonly name: string;
  readonly values: ConfigValues & { readonly target: string };
}

/** A configuration and the file it is from. */
export interface Config {
  readonly path: string;
  readonly values: ConfigValues;
  /** Several accessories, each with its own hooks, in place of one `target`. */
  readonly targets?: readonly Member[];
}

/** Keys that name files: relative ones are meant from the configuration's folder, wherever the command runs. */
const paths: ReadonlySet<string> = new Set<ConfigKey>([
  'junit',
  'json',
  'html',
  'summary',
  'sarif',
  'state',
  'expectations',
  'evidence',
  'pcapng',
  'mfiRoot',
  'cloneOf',
]);

const names = ['hapspec.config.js', 'hapspec.config.json'] as const;

const words = {
  string: 'text',
  number: 'a number',
  boolean: 'true or false',
  list: 'a list of texts',
} as const;

/** How long a configuration written as a program may take (ms). */
const DEADLINE = 30_000;

/**
 * Reads the configuration: the file given, else the nearest `hapspec.config.js` or `.json` from `cwd` upward;
 * undefined when there is none.
 * @param options.path - from `cwd`, ending in .js, .mjs, .cjs or .json
 * @param options.deadline - milliseconds a configuration written as a program may take; 30,000 unless given
 * @throws InputError naming the file, and the key where one is wrong.
 */
export async function loadConfig(options: {
  readonly path?: string;
  readonly cwd: string;
  readonly deadline?: number;
}): Promise<Config | undefined> {
  const path =
    options.path === undefined ? nearestConfig(options.cwd) : given(resolve(options.cwd, options.path));
  if (path === undefined) return undefined;
  const content = extname(path) === '.json' ? json(path) : await program(path, options.deadline ?? DEADLINE);
  if (
    typeof content !== 'object' ||
    content === null ||
    !('targets' in content) ||
    content.targets === undefined
  )
    return { path, values: check(content, path) };
  const { targets, ...rest } = content;
  const values = check(rest, path);
  if (values.target !== undefined)
    throw new InputError(`${path}: it has "target" and "targets": a single accessory, or several`);
  return { path, values, targets: membersOf(targets, path) };
}

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/;

function membersOf(list: unknown, path: string): readonly Member[] {
  if (!Array.isArray(list) || list.length === 0)
    throw new InputError(`${path}: targets: expected a list of accessories, got ${describe(list)}`);
  const members = list.map((one: unknown, i): Member => {
    const where = `${path}: targets[${i}]`;
    if (typeof one !== 'object' || one === null || Array.isArray(one))
      throw new InputError(`${where}: expected an object with "target", got ${describe(one)}`);
    const { name: given, ...rest } = one as { readonly name?: unknown };
    const values = check(rest, path, where);
    const { target } = values;
    if (target === undefined) throw new InputError(`${where}: it has no "target"`);
    const name =
      given ??
      target
        .replace(/[^A-Za-z0-9._-]+/g, '-')
        .replace(/^[.-]+|-+$/g, '')
        .slice(0, 64);
    if (typeof name !== 'string' || !NAME.test(name))
      throw new InputError(
        `${where}: name: expected up to 64 letters, digits, dots, dashes and underscores, got ${describe(name)}`,
      );
    return { name, values: { ...values, target } };
  });
  const names = members.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new InputError(`${path}: targets: two have the name "${twice}": give each a "name" of its own`);
  return members;
}

type Merged<F> = Omit<F, ConfigKey> & {
  readonly [K in ConfigKey]?: ConfigValues[K] | (K extends keyof F ? F[K] : never);
};

/**
 * Configuration and flags as one: a flag that was given wins, and its list replaces the configuration's.
 * @param flags - only what the user typed: a default in here would beat the configuration
 */
export function mergeConfig<F extends object>(values: ConfigValues, flags: F): Merged<F> {
  const given = Object.entries(flags).filter(([, value]) => value !== undefined);
  return { ...values, ...Object.fromEntries(given) } as Merged<F>;
}

/** What a replay file says itself: which check, how often, under which seed. */
const SAID_BY_REPLAY: readonly ConfigKey[] = ['only', 'skip', 'runs', 'time', 'seed', 'jobs', 'shard'];

/** A configuration as a replay takes it: what it says of the runs of every day is none of the counterexample. */
export function forReplay(values: ConfigValues): ConfigValues {
  return Object.fromEntries(
    Object.entries(values).filter(([key]) => !SAID_BY_REPLAY.some((said) => said === key)),
  );
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** The configuration in a folder, or in the nearest one above it. @throws InputError for two in one folder */
export function nearestConfig(cwd: string): string | undefined {
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    const found = names.map((name) => join(folder, name)).filter(isFile);
    if (found.length > 1)
      throw new InputError(
        `config: ${folder} has both ${names.join(' and ')}: remove one, or name one with --config`,
      );
    if (found.length === 1) return found[0];
    if (dirname(folder) === folder) return undefined;
  }
}

function given(path: string): string {
  if (!isFile(path)) throw new InputError(`--config ${path}: there is no such file`);
  if (!['.js', '.mjs', '.cjs', '.json'].includes(extname(path)))
    throw new InputError(`--config ${path}: expected a file that ends in .js or .json`);
  return path;
}

function json(path: string): unknown {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    throw new InputError(`config: cannot read ${path}: ${whyUnreadable(error)}`, { cause: error });
  }
  return parseJson(content, path);
}

/** The default export of a module, called when it is a function. */
async function program(path: string, deadline: number): Promise<unknown> {
  const url = pathToFileURL(path).href;
  const run = async (): Promise<unknown> => {
    const module = (await import(url)) as { readonly default?: unknown };
    if (module.default === undefined)
      throw new InputError(`${path}: it exports no default: write "export default { … }"`);
    // A program may compute the configuration, and may wait for something to do it.
    const value = await Promise.resolve(module.default as unknown);
    return typeof value === 'function' ? (value as () => unknown)() : value;
  };
  let timer: NodeJS.Timeout | undefined;
  // Not unref'd: a module that waits for nothing would otherwise end this process without a word.
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new InputError(`${path}: it did not finish within ${deadline / 1000} s`)),
      deadline,
    );
  });
  try {
    return await Promise.race([run(), late]);
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`${path}${lineOf(error, path)}: ${messageOf(error)}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** `:LINE` of the innermost place in the file that an error tells. */
function lineOf(error: unknown, path: string): string {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  for (const name of [pathToFileURL(path).href, path]) {
    const at = stack.indexOf(`${name}:`);
    const line = at < 0 ? null : /^\d+/.exec(stack.slice(at + name.length + 1));
    if (line !== null) return `:${line[0]}`;
  }
  return '';
}

function isKey(key: string): key is ConfigKey {
  return Object.hasOwn(configKeys, key);
}

/** @param where - of what messages speak: the file, or a place in it; relative paths are meant from the file either way */
function check(content: unknown, path: string, where = path): ConfigValues {
  if (typeof content !== 'object' || content === null || Array.isArray(content))
    throw new InputError(`${where}: expected an object, got ${describe(content)}`);
  const values: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(content)) {
    // An editor is told there what the file may hold.
    if (key === '$schema') continue;
    if (!isKey(key)) throw new InputError(`${where}: unknown key "${key}".${suggestion(key)}`);
    // `code: process.env.CODE` in a program, without the variable.
    if (value === undefined) continue;
    if (!isOf(configKeys[key], value))
      throw new InputError(
        `${where}: ${key}: expected ${words[configKeys[key]]}, got ${describe(value, key)}`,
      );
    if (!paths.has(key)) values[key] = value;
    else if (value === '') throw new InputError(`${where}: ${key}: expected a path, got an empty text`);
    else values[key] = resolve(dirname(path), value as string);
  }
  return values;
}

/** Options are also written with dashes, as on the command line. */
function suggestion(key: string): string {
  const keys = Object.keys(configKeys);
  const plain = key.replace(/^-+/, '').replace(/-(\w)/g, (_dash, letter: string) => letter.toUpperCase());
  return didYouMean(plain, keys) || ` Known are ${keys.join(', ')}.`;
}

function isOf(type: (typeof configKeys)[ConfigKey], value: unknown): boolean {
  switch (type) {
    case 'list':
      return Array.isArray(value) && value.every((item) => typeof item === 'string');
    case 'number':
      return Number.isFinite(value);
    case 'string':
    case 'boolean':
      return typeof value === type;
  }
}

/** A value in a message; never that of a secret, though it is of the wrong type. */
function describe(value: unknown, key?: ConfigKey): string {
  if (typeof value === 'number') return key === 'code' ? 'a number' : String(value);
  if (typeof value === 'function' || value === undefined) return typeof value;
  if (key === 'code') return Array.isArray(value) ? 'a list' : typeof value;
  try {
    const text = JSON.stringify(value) ?? typeof value;
    return text.length > 60 ? `${text.slice(0, 60)}…` : text;
  } catch {
    return typeof value;
  }
}
