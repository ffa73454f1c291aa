import { appendFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Interface, createInterface } from 'node:readline/promises';
import { fileURLToPath } from 'node:url';
import { findFault } from '../accessory/index.js';
import { BROWSE_TIME, browse, isDeviceId, isNowhere, parseAddress, wantedBy } from '../device/index.js';
import { DEFAULT_STATE } from '../prepared.js';
import { InputError, airplayCode, parseSetupCode } from '../protocol/index.js';
import { oneLine, whyUnreadable } from '../report/index.js';
import { shellWord } from '../runner/index.js';
import { multicastInterfaces } from '../wire/index.js';
import { type Described, describeService } from './discover.js';

export interface InitFlags {
  readonly target?: string;
  readonly code?: string;
  readonly ci?: string;
  readonly yes?: boolean;
  readonly force?: boolean;
}

/** Files to copy, and where each CI system looks for it. */
const systems: Readonly<Record<string, { readonly template: string; readonly path: string }>> = {
  github: { template: 'github.yml', path: '.github/workflows/hapspec.yml' },
  gitlab: { template: 'gitlab-ci.yml', path: '.gitlab-ci.yml' },
  azure: { template: 'azure-pipelines.yml', path: 'azure-pipelines.yml' },
  jenkins: { template: 'Jenkinsfile', path: 'Jenkinsfile' },
};
const choices = [...Object.keys(systems), 'none'];
const templates = fileURLToPath(new URL('../../../docs/ci/', import.meta.url));
/** What the templates ask for until they are told. */
const PLACE = '127.0.0.1:51826';

const text = (value: string): string => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** A configuration with what is usually wanted, and the rest as comments. */
function configuration(target: string, code: string | undefined, asModule: boolean): string {
  const secret =
    code === undefined
      ? `  // The setup code is not in here, where it would be committed: export HAPSPEC_CODE=XXX-XX-XXX, or
  // codeCommand: './read-the-display',`
      : `  // Here because "init --code" was told so: whoever may read this file can pair with the accessory.
  code: ${text(code)},`;
  return `// Options of "hapspec run", which is all there is to type from now on; flags win over these.
// "hapspec schema config" has all keys.
${asModule ? 'export default' : 'module.exports ='} {
  // HOST:PORT, airplay://HOST:PORT, a name or a device id as "hapspec discover" shows them, or embedded.
  target: ${text(target)},

${secret}

  // Until the accessory answers: for one that is being started.
  wait: '30s',

  junit: 'reports/junit.xml',
  json: 'reports/report.json',
  html: 'reports/report.html',

  // Shell commands. With reset and restart everything can be asked; without them a run spends 30 failed attempts at the most,
  // as devices lock after 100, and leaves out what kills some accessories until the end.
  // launch: './lamp --port 51826',
  // reset: './factory-reset.sh',
  // restart: './power-cycle.sh',

  // What is known to deviate, each with its reason: "hapspec run --expectations known.json --write-expectations" begins it.
  // expectations: 'known.json',
};
`;
}

/** Whether .js files in this folder are ES modules. */
function isModule(folder: string): boolean {
  for (let at = folder; ; at = dirname(at)) {
    const path = join(at, 'package.json');
    if (existsSync(path))
      try {
        return (JSON.parse(readFileSync(path, 'utf8')) as { readonly type?: unknown }).type === 'module';
      } catch {
        return false;
      }
    if (dirname(at) === at) return false;
  }
}

/** What a run takes for a TARGET. @throws InputError for anything else. */
function checkTarget(target: string): void {
  if (wantedBy(target) !== undefined) return;
  const address = parseAddress(target);
  if (address.kind === 'embedded' && address.fault !== undefined) findFault(address.fault);
}

/** Whether a job of CI reaches it on its own machine. */
function isInJob(target: string): boolean {
  if (wantedBy(target) !== undefined) return false;
  const address = parseAddress(target);
  return address.kind === 'embedded' || /^(127\.[\d.]+|localhost|::1)$/.test(address.host);
}

/** The TARGET of what is announced: an address that can be dialled, or else what mDNS tells the place of. */
export function place({ addresses, port, kind, host, id, name }: Described): string {
  const scheme = kind === 'airplay' ? 'airplay://' : '';
  const hosts = [
    ...addresses.filter((one) => isNowhere(one) === undefined),
    ...addresses.filter((one) => isNowhere(one, '127.0.0.1') === undefined),
    host,
  ];
  for (const one of hosts)
    try {
      const target = `${scheme}${one.includes(':') ? `[${one}]` : one}:${port}`;
      // A link-local address is somewhere on each network: it is none without its interface.
      if (parseAddress(target).kind === 'tcp') return target;
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
    }
  return scheme + (id !== undefined && isDeviceId(id) ? id : name);
}

interface Choice {
  readonly target: string;
  readonly about: string;
}

async function announced(): Promise<readonly Choice[]> {
  const interfaces = multicastInterfaces();
  if (interfaces.length === 0) return [];
  console.log(`looking for accessories on ${interfaces.map(({ name }) => name).join(', ')} ...`);
  const found = await browse({ milliseconds: BROWSE_TIME, interfaces });
  return found.map(describeService).map((one) => {
    const paired = one.paired === true ? ', paired: remove it from its home or reset it first' : '';
    return { target: place(one), about: `${one.kind}  ${one.name}${paired}` };
  });
}

/** Which accessory: the only one there is, or the one that is chosen. */
async function chosenTarget(ask: Ask | undefined): Promise<string> {
  const found = await announced();
  found.forEach(({ target, about }, i) => console.log(`  ${i + 1}  ${target}  ${about}`));
  if (found.length === 0) console.log('  none is announced');
  const [only] = found;
  if (ask === undefined) {
    if (only !== undefined && found.length === 1) return only.target;
    if (found.length === 0) return 'embedded';
    throw new InputError(
      `init --yes: ${found.length} accessories are announced: name one with --target HOST:PORT`,
    );
  }
  const usual = only === undefined ? 'embedded' : '1';
  for (;;) {
    const answer = (await ask(`which one? a number, HOST:PORT, or embedded [${usual}]: `)).trim() || usual;
    const chosen = found[Number(answer) - 1];
    if (chosen !== undefined) return chosen.target;
    if (/^\d+$/.test(answer)) continue;
    try {
      checkTarget(answer);
      return answer;
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      console.log(`  ${oneLine(error.message, 200)}`);
    }
  }
}

type Ask = (question: string) => Promise<string>;

/** Asks until the input ends, or Ctrl-C: that is no answer, though it comes before the question. */
function askOn(lines: Interface): Ask {
  const ended = new AbortController();
  lines.once('close', () => ended.abort());
  return async (question) => {
    try {
      return await lines.question(question, { signal: ended.signal });
    } catch (error) {
      if (!ended.signal.aborted) throw error;
      throw new InputError('init: it was not answered: nothing is written', { cause: error });
    }
  };
}

/** The CI system this folder is used with, by what lies in it. */
function usualSystem(folder: string): string {
  if (existsSync(join(folder, '.gitlab-ci.yml'))) return 'gitlab';
  if (existsSync(join(folder, 'Jenkinsfile'))) return 'jenkins';
  if (existsSync(join(folder, 'azure-pipelines.yml'))) return 'azure';
  return existsSync(join(folder, '.git')) ? 'github' : 'none';
}

async function chosenSystem(ask: Ask | undefined, folder: string): Promise<string> {
  const usual = usualSystem(folder);
  if (ask === undefined) return usual;
  for (;;) {
    const answer = (await ask(`a file for CI? ${choices.join(', ')} [${usual}]: `)).trim() || usual;
    if (choices.includes(answer)) return answer;
  }
}

/**
 * `hapspec init`: a configuration and a file for CI in the current folder. Nothing that is there is overwritten unless asked;
 * the setup code is in none of them.
 * @throws InputError for the user's mistakes.
 */
export async function initCommand(flags: InitFlags): Promise<number> {
  const folder = process.cwd();
  if (flags.ci !== undefined && !choices.includes(flags.ci))
    throw new InputError(`--ci: expected ${choices.join(', ')}, got "${flags.ci}"`);
  if (flags.target !== undefined) checkTarget(flags.target);
  const config = ['hapspec.config.js', 'hapspec.config.json'].find((name) => existsSync(join(folder, name)));
  if (config === 'hapspec.config.json')
    throw new InputError(`init: ${config} is there, and only one configuration may be: move it away`);
  if (config !== undefined && !flags.force)
    throw new InputError(`init: ${config} is there already: --force writes it anew`);
  const interactive = process.stdin.isTTY === true && process.stdout.isTTY === true && !flags.yes;
  if (!interactive && !flags.yes && (flags.target === undefined || flags.ci === undefined))
    throw new InputError('init: nobody is here to be asked: give --yes, or --target and --ci');
  const lines = interactive ? createInterface({ input: process.stdin, output: process.stdout }) : undefined;
  const ask = lines && askOn(lines);
  try {
    const target = flags.target ?? (await chosenTarget(ask));
    if (flags.code !== undefined) (target.startsWith('airplay:') ? airplayCode : parseSetupCode)(flags.code);
    const system = flags.ci ?? (await chosenSystem(ask, folder));
    const files = new Map([['hapspec.config.js', configuration(target, flags.code, isModule(folder))]]);
    const of = systems[system];
    if (of !== undefined) {
      const path = of.path;
      if (existsSync(join(folder, path)) && !flags.force)
        throw new InputError(
          `init: ${path} is there already: copy from ${join(templates, of.template)}, or --force`,
        );
      // In CI it is what the job starts, and not the device on somebody's desk.
      const inJob = isInJob(target) ? target : PLACE;
      files.set(
        path,
        readFileSync(join(templates, of.template), 'utf8').replace(PLACE, () => inJob),
      );
    }
    for (const path of files.keys()) checkPlace(folder, path);
    for (const [path, content] of files) {
      try {
        mkdirSync(dirname(resolve(folder, path)), { recursive: true });
        writeFileSync(join(folder, path), content);
      } catch (error) {
        throw new InputError(`init: cannot write ${path}: ${whyUnreadable(error)}`, { cause: error });
      }
      console.log(`wrote ${path}`);
    }
    const repository = repositoryOf(folder);
    if (of !== undefined && repository !== undefined && repository !== folder)
      console.log(`CI looks for ${of.path} in ${repository}: move it there, and run hapspec in this folder`);
    keepOut(folder);
    console.log(
      [
        '',
        ...(target.startsWith('embedded')
          ? []
          : [
              ...(flags.code === undefined ? ['export HAPSPEC_CODE=XXX-XX-XXX   # as the label has it'] : []),
              `npx hapspec doctor ${shellWord(target)}   # whether it can be reached`,
            ]),
        'npx hapspec run --dry-run   # the plan and its price; the device is not touched',
        'npx hapspec run',
      ].join('\n'),
    );
    return 0;
  } finally {
    lines?.close();
  }
}

/** @throws InputError where no file can be written, before any is. */
function checkPlace(folder: string, path: string): void {
  const parts = path.split('/');
  for (let n = 1; n <= parts.length; n++) {
    const at = parts.slice(0, n).join('/');
    const found = statSync(join(folder, at), { throwIfNoEntry: false });
    if (found === undefined) return;
    if (at === path ? !found.isFile() : !found.isDirectory())
      throw new InputError(
        `init: ${at} is in the way of ${path}: it is ${at === path ? 'no file' : 'no folder'}: move it away`,
      );
  }
}

/** The folder of the git repository that this one lies in. */
function repositoryOf(folder: string): string | undefined {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, '.git'))) return at;
    if (dirname(at) === at) return undefined;
  }
}

/** Keys of pairings are not committed. */
function keepOut(folder: string): void {
  if (repositoryOf(folder) === undefined) return;
  const path = join(folder, '.gitignore');
  const content = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const wanted = [`${DEFAULT_STATE}/`, 'reports/'].filter((line) => !content.split(/\r?\n/).includes(line));
  if (wanted.length === 0) return;
  appendFileSync(path, `${content === '' || content.endsWith('\n') ? '' : '\n'}${wanted.join('\n')}\n`);
  console.log(`wrote .gitignore: ${wanted.join(', ')}`);
}
